import { X509Certificate } from 'node:crypto';
import { isEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { childOf, derTags, objectIdentifier, parseDer, smallInteger, type DerNode } from './der.ts';
import { certificateBlocks } from './pem.ts';
import type { QuoteParts } from './quote-layout.ts';
import { rejectEvidence } from './reject.ts';

/** What Intel certified of a platform: the SGX extension of its PCK certificate (Intel SGX PCK Certificate Profile, §1.3.5). */
export interface PlatformFacts {
  /** 16 bytes: which processor package this is. */
  readonly ppid: Buffer;
  /** 12 hex digits: family, model, stepping, platform, custom SKU. */
  readonly fmspc: string;
  /** 4 hex digits. */
  readonly pceId: string;
  /** Security versions of the 16 components of the TCB. */
  readonly componentSvns: readonly number[];
  readonly pceSvn: number;
  /** 16 bytes. */
  readonly cpuSvn: Buffer;
}

const sgxExtension = '1.2.840.113741.1.13.1';
const components = 16;

/** Throws `evidence-rejected`. */
export function readPlatformFacts(certificate: X509Certificate): PlatformFacts {
  const what = 'the PCK certificate';
  const fields = fieldsOf(findExtension(certificate, what), what);
  const tcb = fieldsOf(needField(fields, `${sgxExtension}.2`, what), what);
  const octets = (oid: string, length: number): Buffer => needOctets(needField(fields, oid, what), length, what);
  return {
    ppid: octets(`${sgxExtension}.1`, 16),
    pceId: octets(`${sgxExtension}.3`, 2).toString('hex'),
    fmspc: octets(`${sgxExtension}.4`, 6).toString('hex'),
    componentSvns: Array.from({ length: components }, (_, index) =>
      smallInteger(needField(tcb, `${sgxExtension}.2.${index + 1}`, what), what),
    ),
    pceSvn: smallInteger(needField(tcb, `${sgxExtension}.2.17`, what), what),
    cpuSvn: needOctets(needField(tcb, `${sgxExtension}.2.18`, what), 16, what),
  };
}

/** What the leaf of a quote's chain says, which nobody has verified: good for choosing collateral, and for one's own quote. */
export function claimedPlatform({ certificateChain }: Pick<QuoteParts, 'certificateChain'>): PlatformFacts {
  const [leaf] = certificateBlocks(certificateChain);
  try {
    if (leaf !== undefined) return readPlatformFacts(new X509Certificate(leaf));
  } catch (error) {
    if (isEnclaveManagerError(error)) throw error;
    rejectEvidence('the certificate in the quote cannot be read');
  }
  rejectEvidence('the quote carries no certificate of a platform');
}

/** Extensions are `[3] SEQUENCE OF SEQUENCE { id, critical?, OCTET STRING }` (RFC 5280 §4.1). */
function findExtension(certificate: X509Certificate, what: string): DerNode {
  const body = childOf(parseDer(certificate.raw, what), 0, what);
  const wrapper = body.children.find(({ tagClass, tagNumber }) => tagClass === 2 && tagNumber === 3);
  const extensions = childOf(wrapper, 0, what).children;
  const found = extensions.filter((extension) => objectIdentifier(childOf(extension, 0, what)) === sgxExtension);
  if (found.length !== 1) rejectEvidence(`${what} has ${found.length} SGX extensions`);
  const value = found[0]!.children.at(-1);
  if (value?.tagNumber !== derTags.octetString) rejectEvidence(`${what} has an SGX extension without a value`);
  return parseDer(value.content, what);
}

/** `SEQUENCE OF SEQUENCE { id, value }`. */
function fieldsOf(sequence: DerNode, what: string): ReadonlyMap<string, DerNode> {
  return new Map(
    sequence.children.map((field) => [objectIdentifier(childOf(field, 0, what)), childOf(field, 1, what)] as const),
  );
}

function needField(fields: ReadonlyMap<string, DerNode>, oid: string, what: string): DerNode {
  return fields.get(oid) ?? rejectEvidence(`${what} says nothing about ${oid}`);
}

function needOctets({ tagNumber, content }: DerNode, length: number, what: string): Buffer {
  if (tagNumber !== derTags.octetString || content.length !== length) {
    rejectEvidence(`${what} holds ${content.length} bytes where ${length} must be`);
  }
  return content;
}
