/**
 * Pre-authentication encoding, as in DSSE: an unambiguous byte string out of several fields.
 *
 *   label, then for every field: SP, its length in bytes as decimal ASCII, SP, its bytes
 *
 * Text is UTF-8, numbers are decimal ASCII. Two different lists of fields never encode to the same bytes.
 * Source: DSSE protocol, "Signature Definition" (PAE), with our own labels in place of `DSSEv1`.
 */
export function encodeFields(label: string, fields: readonly (string | number | Uint8Array)[]): Buffer {
  const parts: Buffer[] = [Buffer.from(label, 'ascii')];
  for (const field of fields) {
    const bytes = typeof field === 'object' ? Buffer.from(field) : Buffer.from(String(field), 'utf8');
    parts.push(Buffer.from(` ${bytes.length} `, 'ascii'), bytes);
  }
  return Buffer.concat(parts);
}
