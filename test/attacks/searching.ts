import { zstdDecompressSync } from 'node:zlib';

const zstdMagic = Buffer.from('28b52ffd', 'hex');

/** How bytes may stand in a file: as they are, in hex of both cases, and in base64 at each of its three alignments. */
export function spellingsOf(secret: Buffer): Buffer[] {
  const hex = secret.toString('hex');
  const base64 = [0, 1, 2].flatMap((before) => {
    const text = Buffer.concat([Buffer.alloc(before), secret]).toString('base64');
    // The first and last characters depend on the neighbours too.
    const inner = text.slice(Math.ceil((before * 8) / 6), Math.floor(((before + secret.length) * 8) / 6));
    return [inner, inner.replaceAll('+', '-').replaceAll('/', '_')];
  });
  return [secret, ...[hex, hex.toUpperCase(), ...base64].map((text) => Buffer.from(text))];
}

/** Whether one of the spellings stands in the bytes, or in any zstd frame among them. */
export function found(bytes: Buffer, spellings: readonly Buffer[]): boolean {
  if (spellings.some((spelling) => bytes.includes(spelling))) return true;
  for (let at = bytes.indexOf(zstdMagic); at >= 0; at = bytes.indexOf(zstdMagic, at + 1)) {
    const unpacked = unpack(bytes.subarray(at));
    if (unpacked !== undefined && spellings.some((spelling) => unpacked.includes(spelling))) return true;
  }
  return false;
}

function unpack(frame: Buffer): Buffer | undefined {
  try {
    return zstdDecompressSync(frame, { maxOutputLength: 64 * 1024 * 1024 });
  } catch {
    return undefined;
  }
}
