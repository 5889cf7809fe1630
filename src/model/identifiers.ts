import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';

/** Lower-case UUIDs. */
export type ClusterId = string;
export type NodeId = string;
export type CredentialId = string;
/** `20261122T000000Z-k3f9q2`: start in UTC and six random characters of Crockford's base 32. */
export type BackupId = string;

const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const timedPattern = /^\d{8}T\d{6}Z-[0-9a-z]{6}$/;
const alphabet = '0123456789abcdefghjkmnpqrstvwxyz';

export const isUuid = (text: string): boolean => uuidPattern.test(text);
export const isBackupId = (text: string): boolean => timedPattern.test(text);

/** UUIDv7 (RFC 9562 §5.7): 48 bits of Unix milliseconds, then random. `random` has at least 10 bytes. */
export function uuidv7(now: Date, random: Uint8Array): string {
  const bytes = Buffer.alloc(16);
  bytes.writeUIntBE(now.getTime(), 0, 6);
  bytes.set(random.subarray(0, 10), 6);
  bytes[6] = 0x70 | (bytes[6]! & 0x0f);
  bytes[8] = 0x80 | (bytes[8]! & 0x3f);
  return formatUuid(bytes);
}

export function formatUuid(bytes: Uint8Array): string {
  const hex = Buffer.from(bytes).toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20, 32)}`;
}

export function uuidBytes(uuid: string): Buffer {
  return Buffer.from(uuid.replaceAll('-', ''), 'hex');
}

/** A name made of a UTC time and six random characters, for backups and restores. `random` has at least 6 bytes. */
export function timedId(now: Date, random: Uint8Array): string {
  const time = now
    .toISOString()
    .replaceAll(/[-:]/g, '')
    .replace(/\.\d+Z$/, 'Z');
  const suffix = Array.from(random.subarray(0, 6), (byte) => alphabet[byte & 31]).join('');
  return `${time}-${suffix}`;
}

/** Checks what a person typed. `latest` is resolved elsewhere. */
export function parseBackupId(text: string): BackupId {
  if (isBackupId(text)) return text;
  throw new EnclaveManagerError('usage', `"${text.slice(0, 80)}" is not a backup id`, {
    hint: 'A backup id looks like 20261122T000000Z-k3f9q2; backup list shows them.',
  });
}
