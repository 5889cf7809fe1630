import { type KeyObject, sign, verify } from 'node:crypto';
import { promisify } from 'node:util';
import { z } from 'zod';
import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { type ClusterId, isUuid } from '#model/identifiers.ts';
import { parseBoundedJson } from './bounded-json.ts';
import { encodeFields } from './pae.ts';

/**
 * A signed document is one JSON object:
 *
 *   {"type":"slot","formatVersion":1,"clusterId":"<uuid>","payload":"<JSON text>","signatures":[{"keyGeneration":1,"signature":"<base64>"}]}
 *
 * The file is exactly what ECMAScript's `JSON.stringify` makes of these members in this order, in UTF-8, without white
 * space or a final line end. So a document has one possible spelling, and its SHA-256 identifies it.
 *
 * A signature is Ed25519 (RFC 8032) over
 *
 *   PAE("enclave-manager/1/signature", type, formatVersion, clusterId, keyGeneration, payload)
 *
 * with PAE as in `pae.ts` and the payload's UTF-8 bytes exactly as they stand in the document after JSON unescaping.
 * Documents carry one signature; `epoch` documents from the second generation on carry two, of the previous generation
 * and of their own. Readers ignore members of a payload they do not know; a change that an older reader must not ignore
 * raises `formatVersion`.
 */
export type DocumentType =
  | 'marker'
  | 'credential'
  | 'members'
  | 'epoch'
  | 'slot'
  | 'manifest'
  | 'verification'
  | 'condemned';

export interface DocumentSignature {
  readonly keyGeneration: number;
  /** 64 bytes in base64. */
  readonly signature: string;
}

/** Well-formed, and nothing more is known of it. */
export interface UnverifiedDocument {
  readonly type: DocumentType;
  readonly formatVersion: number;
  readonly clusterId: ClusterId;
  /** JSON text, exactly the signed bytes once encoded as UTF-8. */
  readonly payloadText: string;
  readonly signatures: readonly DocumentSignature[];
}

/** One generation of the cluster signing key with its private half. */
export interface Signer {
  readonly keyGeneration: number;
  readonly privateKey: KeyObject;
}

const documentFormatVersion = 1;
const verifyAside = promisify(verify);

const KiB = 1024;
const MiB = 1024 * KiB;

/** Longest accepted file of each type, in bytes. */
export const documentLimits: Readonly<Record<DocumentType, number>> = {
  marker: 4 * KiB,
  credential: 256 * KiB,
  members: MiB,
  epoch: 32 * MiB,
  slot: 16 * KiB,
  manifest: 256 * MiB,
  verification: 64 * MiB,
  condemned: 64 * MiB,
};

/** Generous, because a newer format may have other members; the payload is one string. */
const envelopeLimits = { maxValues: 1000, maxDepth: 16 };
/** Twice what the largest manifest, epoch or verification document has. */
const payloadLimits = { maxValues: 4_000_000, maxDepth: 32 };

const signatureSchema = z.strictObject({
  keyGeneration: z.int().min(1).max(0xffff_ffff),
  signature: z
    .string()
    .length(88)
    .refine((text) => Buffer.from(text, 'base64').toString('base64') === text),
});

const versionedSchema = z.object({ formatVersion: z.int() });

const documentSchema = z.strictObject({
  type: z.string(),
  formatVersion: z.int().min(1),
  clusterId: z.string().refine(isUuid),
  payload: z.string().refine((text) => text.isWellFormed()),
  signatures: z.array(signatureSchema).min(1).max(2),
});

/** Reads a document's envelope; proves nothing about who wrote it. Throws `damaged`, or `version-incompatible` for a newer format. */
export function parseDocument(bytes: Uint8Array, expectedType: DocumentType): UnverifiedDocument {
  const limit = documentLimits[expectedType];
  if (bytes.length > limit) {
    throw damaged(expectedType, `has ${bytes.length} bytes, more than the limit of ${limit}`);
  }
  const text = decodeText(bytes, expectedType);
  const value = parseJson(text, expectedType);
  checkFormatVersion(value, expectedType);
  const parsed = documentSchema.safeParse(value);
  if (!parsed.success) throw damaged(expectedType, 'does not have the members of a signed document');
  const { type, formatVersion, clusterId, payload, signatures } = parsed.data;
  if (type !== expectedType) throw damaged(expectedType, `is of type "${type.slice(0, 40)}"`);
  if (signatures.length === 2 && signatures[0]!.keyGeneration === signatures[1]!.keyGeneration) {
    throw damaged(expectedType, 'carries two signatures of one key generation');
  }
  const document = { type: expectedType, formatVersion, clusterId, payloadText: payload, signatures };
  if (spelled(document) !== text) throw damaged(expectedType, 'is not spelled as a signed document is');
  return document;
}

/**
 * The envelope of a document of a newer format that keeps the members and the signature of this one, as formats do that leave the
 * marker's version as it is; `undefined` for anything else.
 */
export function parseNewerDocument(bytes: Uint8Array, expectedType: DocumentType): UnverifiedDocument | undefined {
  const text = decodeText(bytes, expectedType);
  const parsed = documentSchema.safeParse(parseJson(text, expectedType));
  if (!parsed.success || parsed.data.type !== expectedType) return undefined;
  const { formatVersion, clusterId, payload, signatures } = parsed.data;
  const document = { type: expectedType, formatVersion, clusterId, payloadText: payload, signatures };
  return formatVersion > documentFormatVersion && spelled(document) === text ? document : undefined;
}

/** Signs `payload` with every signer, in ascending order of generation. */
export function signDocument(
  type: DocumentType,
  clusterId: ClusterId,
  payload: object,
  signers: readonly Signer[],
): Buffer {
  const payloadText = JSON.stringify(payload);
  const unsigned = { type, formatVersion: documentFormatVersion, clusterId, payloadText, signatures: [] };
  const signatures = signers
    .toSorted((a, b) => a.keyGeneration - b.keyGeneration)
    .map(({ keyGeneration, privateKey }) => ({
      keyGeneration,
      signature: sign(null, signedBytes(unsigned, keyGeneration), privateKey).toString('base64'),
    }));
  return Buffer.from(spelled({ ...unsigned, signatures }));
}

/** True when the document carries a signature of `keyGeneration` that `verifyKey` made. */
export function isSignedBy(document: UnverifiedDocument, keyGeneration: number, verifyKey: KeyObject): boolean {
  const signature = signatureOf(document, keyGeneration);
  return signature !== undefined && verify(null, signedBytes(document, keyGeneration), verifyKey, signature);
}

/** The same, computed beside this thread: most of what many documents cost. */
export async function isSignedByAside(
  document: UnverifiedDocument,
  keyGeneration: number,
  verifyKey: KeyObject,
): Promise<boolean> {
  const signature = signatureOf(document, keyGeneration);
  return signature !== undefined && verifyAside(null, signedBytes(document, keyGeneration), verifyKey, signature);
}

function signatureOf({ signatures }: UnverifiedDocument, keyGeneration: number): Buffer | undefined {
  const found = signatures.find((candidate) => candidate.keyGeneration === keyGeneration);
  return found && Buffer.from(found.signature, 'base64');
}

/** The payload as a JSON value; `damaged` when it is not JSON. */
export function parsePayload(document: UnverifiedDocument): unknown {
  try {
    return parseBoundedJson(document.payloadText, payloadLimits);
  } catch (cause) {
    throw damaged(document.type, 'has a payload that is not JSON', cause);
  }
}

function spelled({ type, formatVersion, clusterId, payloadText, signatures }: UnverifiedDocument): string {
  const ordered = signatures.map(({ keyGeneration, signature }) => ({ keyGeneration, signature }));
  return JSON.stringify({ type, formatVersion, clusterId, payload: payloadText, signatures: ordered });
}

function signedBytes(document: UnverifiedDocument, keyGeneration: number): Buffer {
  const { type, formatVersion, clusterId, payloadText } = document;
  return encodeFields('enclave-manager/1/signature', [type, formatVersion, clusterId, keyGeneration, payloadText]);
}

/** Every text is of one sequence of bytes: a mark at its begin is kept, and what is not UTF-8 is refused. */
function decodeText(bytes: Uint8Array, type: DocumentType): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw damaged(type, 'is not JSON in UTF-8', cause);
  }
}

function parseJson(text: string, type: DocumentType): unknown {
  try {
    return parseBoundedJson(text, envelopeLimits);
  } catch (cause) {
    throw damaged(type, 'is not JSON in UTF-8', cause);
  }
}

/** Comes before the strict check, because a newer format may have other members. */
function checkFormatVersion(value: unknown, type: DocumentType): void {
  const version = versionedSchema.safeParse(value).data?.formatVersion;
  if (version !== undefined && version > documentFormatVersion) {
    throw new EnclaveManagerError(
      'version-incompatible',
      `The ${type} document has format version ${version}; this program knows ${documentFormatVersion}.`,
    );
  }
}

function damaged(type: DocumentType, what: string, cause?: unknown): EnclaveManagerError {
  return new EnclaveManagerError('damaged', `The ${type} document ${what}.`, { cause });
}
