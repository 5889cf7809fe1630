import { rejectEvidence } from './reject.ts';

/** One value of a DER encoding (ITU-T X.690): its whole bytes, its content, and what it is made of. */
export interface DerNode {
  /** 0 universal, 2 context-specific. */
  readonly tagClass: number;
  readonly tagNumber: number;
  readonly bytes: Buffer;
  readonly content: Buffer;
  /** Empty for primitive values. */
  readonly children: readonly DerNode[];
}

export const derTags = {
  integer: 2,
  bitString: 3,
  octetString: 4,
  objectIdentifier: 6,
  sequence: 16,
  utcTime: 23,
  generalizedTime: 24,
} as const;

const universal = 0;
const constructed = 0x20;
const maxDepth = 24;

/** Parses exactly one value, in the one spelling that DER allows. `what` names it in the `evidence-rejected` error. */
export function parseDer(bytes: Uint8Array, what: string): DerNode {
  const [root, ...more] = readValues(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), what, 0);
  if (root === undefined || more.length > 0) rejectEvidence(`${what} is not DER`);
  return root;
}

function readValues(bytes: Buffer, what: string, depth: number): DerNode[] {
  if (depth > maxDepth) rejectEvidence(`${what} is nested too deeply`);
  const values: DerNode[] = [];
  for (let offset = 0; offset < bytes.length;) {
    const identifier = bytes[offset]!;
    const tagNumber = identifier & 0x1f;
    const { length, from } = readLength(bytes, offset + 1, what);
    const end = from + length;
    // Tags of more than one byte do not occur in what is read here.
    if (tagNumber === 0x1f || end > bytes.length) rejectEvidence(`${what} is not DER`);
    const content = bytes.subarray(from, end);
    const children = (identifier & constructed) === 0 ? [] : readValues(content, what, depth + 1);
    values.push({ tagClass: identifier >> 6, tagNumber, bytes: bytes.subarray(offset, end), content, children });
    offset = end;
  }
  return values;
}

/** X.690 §10.1: definite, in as few bytes as possible. */
function readLength(bytes: Buffer, at: number, what: string): { readonly length: number; readonly from: number } {
  const first = bytes[at] ?? 0x80;
  if (first < 0x80) return { length: first, from: at + 1 };
  const digits = first & 0x7f;
  const from = at + 1 + digits;
  if (digits === 0 || digits > 4 || from > bytes.length) rejectEvidence(`${what} is not DER`);
  const length = bytes.readUIntBE(at + 1, digits);
  if (length < 0x80 || bytes[at + 1] === 0) rejectEvidence(`${what} is not DER`);
  return { length, from };
}

/** The child at a place, which must have that universal tag where one is named. */
export function childOf(node: DerNode | undefined, index: number, what: string, tagNumber?: number): DerNode {
  const child = node?.children[index];
  if (child === undefined || (tagNumber !== undefined && !hasTag(child, tagNumber))) {
    rejectEvidence(`${what} does not have the structure it should have`);
  }
  return child;
}

export const hasTag = ({ tagClass, tagNumber }: DerNode, wanted: number): boolean =>
  tagClass === universal && tagNumber === wanted;

/** The dotted form of an object identifier, X.690 §8.19. */
export function objectIdentifier(node: DerNode): string {
  if (!hasTag(node, derTags.objectIdentifier)) return '';
  const arcs: number[] = [];
  let arc = 0;
  for (const byte of node.content) {
    arc = arc * 128 + (byte & 0x7f);
    if (!Number.isSafeInteger(arc)) return '';
    if ((byte & 0x80) !== 0) continue;
    arcs.push(arc);
    arc = 0;
  }
  const [first, ...rest] = arcs;
  if (first === undefined) return '';
  const root = Math.min(2, Math.floor(first / 40));
  return [root, first - root * 40, ...rest].join('.');
}

/** UTCTime or GeneralizedTime in the one form of RFC 5280 §4.1.2.5. */
export function timeOf(node: DerNode, what: string): Date {
  const text = node.content.toString('latin1');
  const isShort = hasTag(node, derTags.utcTime);
  const full = isShort ? `${Number(text.slice(0, 2)) < 50 ? '20' : '19'}${text}` : text;
  if ((!isShort && !hasTag(node, derTags.generalizedTime)) || !/^\d{14}Z$/.test(full)) {
    rejectEvidence(`${what} holds no time where one must be`);
  }
  const time = new Date(full.replace(/^(....)(..)(..)(..)(..)(..)Z$/, '$1-$2-$3T$4:$5:$6Z'));
  if (Number.isNaN(time.getTime())) rejectEvidence(`${what} holds no time where one must be`);
  return time;
}

/** A non-negative INTEGER of at most four bytes. */
export function smallInteger(node: DerNode, what: string): number {
  const { content } = node;
  if (!hasTag(node, derTags.integer) || content.length === 0 || content.length > 4 || (content[0]! & 0x80) !== 0) {
    rejectEvidence(`${what} holds no small number where one must be`);
  }
  return content.readUIntBE(0, content.length);
}
