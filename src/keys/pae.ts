/**
 * Pre-authentication encoding, as in DSSE: an unambiguous byte string out of several fields.
 *
 *   label, then for every field: SP, its length in bytes as decimal ASCII, SP, its bytes
 *
 * Text is UTF-8, numbers are decimal ASCII. Two different lists of fields never encode to the same bytes.
 * Source: DSSE protocol, "Signature Definition" (PAE), with our own labels in place of `DSSEv1`.
 */
export function encodeFields(label: string, fields: readonly (string | number | Uint8Array)[]): Buffer {
  const parts: (string | Uint8Array)[] = [label];
  for (const field of fields) {
    const part = typeof field === 'number' ? String(field) : field;
    parts.push(` ${Buffer.byteLength(part)} `, part);
  }
  // Written in place: a signed field may be a large part of the memory there is.
  const encoded = Buffer.allocUnsafe(parts.reduce((length, part) => length + Buffer.byteLength(part), 0));
  let at = 0;
  for (const part of parts) {
    if (typeof part === 'string') at += encoded.write(part, at, 'utf8');
    else {
      encoded.set(part, at);
      at += part.length;
    }
  }
  return encoded;
}
