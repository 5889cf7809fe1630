import { createHash, hkdfSync } from 'node:crypto';
import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { formatUuid, isUuid, uuidBytes } from '#model/identifiers.ts';

/** What a one-time token says. */
export interface JoinToken {
  readonly inviteId: string;
  /** 32 bytes; secret. */
  readonly secret: Buffer;
  /** Of the cluster key, as `fingerprintOf` writes it. */
  readonly fingerprint: string;
}

export const joinSecretBytes = 32;

/** What to do on a host whose token is of no use any more. */
export const newTokenHint =
  'Make a new token on an enrolled host (enclave-manager node invite), and enrol this host with it: enclave-manager node enrol --token-file -';
/** What ends a hint after which the token is used once more. */
export const sameToken = 'the token can still be used';

const prefix = 'emjoin1';
const bodyBytes = 16 + joinSecretBytes + 32;
const checksumBytes = 4;
const fingerprintPrefix = 'sha256:';

/**
 * One word that a double click selects whole: `emjoin1` and lower-case hex of invite id (16 bytes), secret (32), SHA-256 of
 * the cluster key (32), checksum (first 4 bytes of the SHA-256 of `emjoin1` and all before).
 */
export function formatToken({ inviteId, secret, fingerprint }: JoinToken): string {
  const keyDigest = Buffer.from(fingerprint.slice(fingerprintPrefix.length), 'base64url');
  const body = Buffer.concat([uuidBytes(inviteId), secret, keyDigest]);
  return `${prefix}${body.toString('hex')}${checksumOf(body).toString('hex')}`;
}

/** Reads what a person pasted; white space around and inside it, as line breaks in mails make it, is ignored. Throws `usage`. */
export function parseToken(text: string): JoinToken {
  const word = text.length > 1000 ? '' : text.replaceAll(/\s/g, '');
  const hex = word.slice(prefix.length);
  const expected = (bodyBytes + checksumBytes) * 2;
  if (!word.startsWith(prefix) || !/^[0-9a-f]*$/.test(hex) || hex.length !== expected) {
    throw unusable(`is not a join token: one begins with ${prefix} and has ${prefix.length + expected} characters`);
  }
  const bytes = Buffer.from(hex, 'hex');
  const body = bytes.subarray(0, bodyBytes);
  if (!checksumOf(body).equals(bytes.subarray(bodyBytes))) throw unusable('has a mistake in it: its checksum is wrong');
  const inviteId = formatUuid(body.subarray(0, 16));
  if (!isUuid(inviteId)) throw unusable('names no invite');
  const fingerprint = fingerprintPrefix + body.subarray(16 + joinSecretBytes).toString('base64url');
  return { inviteId, secret: body.subarray(16, 16 + joinSecretBytes), fingerprint };
}

/** HMAC key of the join request. The manager keeps this, sealed, and never the token. */
export function joinRequestMacKey(secret: Uint8Array): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, '', 'enclave-manager/1/join-request mac', 32));
}

function checksumOf(body: Buffer): Buffer {
  return createHash('sha256').update(prefix).update(body).digest().subarray(0, checksumBytes);
}

function unusable(what: string): EnclaveManagerError {
  return new EnclaveManagerError('usage', `What was given ${what}.`, {
    hint: 'Copy the whole token again as node invite printed it.',
  });
}
