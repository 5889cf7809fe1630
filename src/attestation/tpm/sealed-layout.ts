import { createHash } from 'node:crypto';
import { formatPcrSelection, parsePcrSelection, pcrDigestBytes, type PcrSelection } from '#model/tpm/pcr-selection.ts';
import { approvalKeyAreaBytes, approvalReference } from '#model/tpm/approval.ts';
import { authorizePolicy, orPolicy, pcrPolicy } from '#model/tpm/policy.ts';
import { MalformedTpmBytes, sized, TpmReader, uint8 } from '#model/tpm/wire.ts';
import { isSealedUnder, nameOf } from './public-area.ts';

/** For what the secret was sealed. */
export interface SealedHeader {
  /** SHA-256 of the endorsement key's public area. */
  readonly endorsement: Buffer;
  /** SHA-256 of the parent's public area. */
  readonly parent: Buffer;
  readonly selection: PcrSelection;
  /** The registers at sealing, in the order of the selection. */
  readonly values: readonly Buffer[];
  /** TPMT_PUBLIC of the key that may approve other values; `undefined`: nobody may. */
  readonly approvalKey: Buffer | undefined;
}

export interface SealedObject {
  /** TPM2B_PRIVATE's contents: encrypted and authenticated by the parent. */
  readonly private: Buffer;
  /** TPMT_PUBLIC. */
  readonly public: Buffer;
}

export interface Sealed {
  readonly header: SealedHeader;
  readonly object: SealedObject;
}

const version = 1;
const none = Buffer.alloc(0);
const digestBytes = 32;
const maxSealedBytes = 8192;
const label = 'enclave-manager/1/tpm2-sealing/header';

/** `docs/backup-format.md`, "Credential". */
export function encodeSealed({ header, object }: Sealed): Buffer {
  return Buffer.concat([encodeHeader(header), sized(object.private), sized(object.public)]);
}

/** `undefined` for anything else, and for an object whose policy is not the one that the header leads to. */
export function decodeSealed(bytes: Uint8Array): Sealed | undefined {
  if (bytes.length > maxSealedBytes) return undefined;
  try {
    const reader = new TpmReader(bytes);
    if (reader.uint8() !== version) return undefined;
    const header = readHeader(reader);
    if (header === undefined) return undefined;
    const object = { private: reader.sized(), public: reader.sized() };
    reader.end();
    return isSealedUnder(object.public, orPolicy(policyBranches(header))) ? { header, object } : undefined;
  } catch (error) {
    if (error instanceof MalformedTpmBytes) return undefined;
    throw error;
  }
}

/**
 * The ways to satisfy the policy of a sealed object. The last can be taken by nobody: it is a hash that no policy leads to,
 * and it binds the header, which the TPM does not see, to the object.
 */
export function policyBranches(header: SealedHeader): Buffer[] {
  const { selection, values, approvalKey } = header;
  const approved = approvalKey === undefined ? [] : [authorizePolicy(nameOf(approvalKey), approvalReference)];
  return [pcrPolicy(selection, values), ...approved, headerDigest(header)];
}

function headerDigest(header: SealedHeader): Buffer {
  return createHash('sha256').update(label).update(encodeHeader(header)).digest();
}

function encodeHeader({ endorsement, parent, selection, values, approvalKey }: SealedHeader): Buffer {
  const text = Buffer.from(formatPcrSelection(selection));
  return Buffer.concat([
    uint8(version),
    endorsement,
    parent,
    sized(text),
    sized(...values),
    sized(approvalKey ?? none),
  ]);
}

function readHeader(reader: TpmReader): SealedHeader | undefined {
  const endorsement = reader.bytes(digestBytes);
  const parent = reader.bytes(digestBytes);
  const selection = parsePcrSelection(reader.sized().toString('latin1'));
  const values = reader.sized();
  const key = reader.sized();
  if (key.length !== 0 && key.length !== approvalKeyAreaBytes) return undefined;
  if (selection === undefined || values.length !== selection.indexes.length * pcrDigestBytes) return undefined;
  const split = selection.indexes.map((_, position) =>
    values.subarray(position * pcrDigestBytes, (position + 1) * pcrDigestBytes),
  );
  return { endorsement, parent, selection, values: split, approvalKey: key.length === 0 ? undefined : key };
}
