import { sign } from 'node:crypto';
import { encodeFields } from '#keys/pae.ts';
import type { DocumentType, Signer } from '#keys/signed-document.ts';
import { json } from './target.ts';

/** Signs payload text as it is, well-formed JSON or not, so that what stands behind the signature is reached. */
export function signText(
  clusterId: string,
  type: DocumentType,
  input: Buffer,
  { keyGeneration, privateKey }: Signer,
): Buffer {
  const payload = input.toString();
  const fields = encodeFields('enclave-manager/1/signature', [type, 1, clusterId, keyGeneration, payload]);
  const signature = sign(null, fields, privateKey).toString('base64');
  return json({ type, formatVersion: 1, clusterId, payload, signatures: [{ keyGeneration, signature }] });
}
