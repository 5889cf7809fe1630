import { uint16, uint32, uint8 } from './wire.ts';

/** Platform configuration registers of the SHA-256 bank, ascending. */
export interface PcrSelection {
  readonly bank: 'sha256';
  readonly indexes: readonly number[];
}

export const sha256Algorithm = 0x000b;
export const pcrDigestBytes = 32;
const pcrCount = 24;
const selectBytes = pcrCount / 8;

/** Firmware (0), Secure Boot (7), and the owner's keys that shim adds to it (14). */
export const defaultPcrSelection = 'sha256:0,7,14';

/** Reads `sha256:0,7,14`; `undefined` for anything else, and for no register or the same one twice. */
export function parsePcrSelection(text: string): PcrSelection | undefined {
  const match = /^sha256:(\d{1,2}(?:,\d{1,2}){0,23})$/.exec(text);
  if (match === null) return undefined;
  const written = match[1]!.split(',');
  const indexes = written.map(Number).toSorted((a, b) => a - b);
  const usual = written.every((index) => String(Number(index)) === index);
  const sound = indexes.every((index, position) => index < pcrCount && index !== indexes[position - 1]);
  return usual && sound ? { bank: 'sha256', indexes } : undefined;
}

export function formatPcrSelection({ bank, indexes }: PcrSelection): string {
  return `${bank}:${indexes.join(',')}`;
}

/** TPML_PCR_SELECTION with one bank. */
export function encodePcrSelection(indexes: readonly number[]): Buffer {
  const bits = Buffer.alloc(selectBytes);
  for (const index of indexes) bits[index >> 3]! |= 1 << (index & 7);
  return Buffer.concat([uint32(1), uint16(sha256Algorithm), uint8(selectBytes), bits]);
}

/** The registers that a bit map names. */
export function decodePcrBits(bits: Uint8Array): number[] {
  return Array.from({ length: bits.length * 8 }, (_, index) => index).filter(
    (index) => ((bits[index >> 3] ?? 0) & (1 << (index & 7))) !== 0,
  );
}
