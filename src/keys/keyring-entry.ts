import { createHash } from 'node:crypto';
import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { type KeyringPlace, parseKeyringPath } from './keyring-paths.ts';
import { parseDocument, type UnverifiedDocument } from './signed-document.ts';

/** One file of the keyring; `path` is relative to the repository root and begins with `keyring/`. */
export interface KeyringDocument {
  readonly path: string;
  readonly bytes: Buffer;
}

/** A document that counts for nothing, and why. */
export interface RejectedDocument {
  readonly path: string;
  readonly reason: string;
}

/** A well-formed keyring document; nothing about its author is known. */
export interface KeyringEntry extends KeyringDocument {
  /** Hex SHA-256 of the file. */
  readonly digest: string;
  readonly place: KeyringPlace;
  readonly document: UnverifiedDocument;
}

export const maxKeyringDocuments = 50_000;
const maxKeyringBytes = 256 * 1024 * 1024;

export function sha256Hex(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Equal for documents of the same bytes at the same path. */
export function identityOf({ path, bytes }: KeyringDocument): string {
  return `${path} ${sha256Hex(bytes)}`;
}

/** Each once. A path may still come several times, with other bytes. */
export function distinctDocuments(documents: readonly KeyringDocument[]): KeyringDocument[] {
  return [...new Map(documents.map((document) => [identityOf(document), document])).values()];
}

/**
 * Sorts out what cannot be a keyring document, in a fixed order whatever the order given. One path may stand there with
 * several contents (from repository and database); equal ones count once. Throws `damaged` beyond the limits.
 */
export function readEntries(
  documents: readonly KeyringDocument[],
  rejected: RejectedDocument[],
): readonly KeyringEntry[] {
  checkKeyringLimits(documents.length, totalBytes(documents));
  const entries = new Map<string, KeyringEntry>();
  for (const { path, bytes } of documents) {
    const place = parseKeyringPath(path);
    if (place === undefined) {
      rejected.push({ path, reason: 'no keyring document has such a path' });
      continue;
    }
    try {
      const document = parseDocument(bytes, place.type);
      const digest = sha256Hex(bytes);
      entries.set(`${path} ${digest}`, { path, bytes, digest, place, document });
    } catch (error) {
      rejected.push({ path, reason: reasonOf(error) });
    }
  }
  return [...entries].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, entry]) => entry);
}

/** Turns an expected failure into a reason for rejection; anything else is a bug and is thrown on. */
export function reasonOf(error: unknown): string {
  if (error instanceof EnclaveManagerError) return error.message;
  throw error;
}

export function fitsKeyring(documents: readonly KeyringDocument[]): boolean {
  return documents.length <= maxKeyringDocuments && totalBytes(documents) <= maxKeyringBytes;
}

function totalBytes(documents: readonly KeyringDocument[]): number {
  return documents.reduce((sum, { bytes }) => sum + bytes.length, 0);
}

const tooManyHint =
  'No cluster writes so many: remove from keyring/ what was put there, or restore that directory from a copy.';

/** Throws `damaged` beyond what a keyring can have; whoever reads one calls it while reading, or before. */
export function checkKeyringLimits(count: number, bytes: number, hint = tooManyHint): void {
  if (count <= maxKeyringDocuments && bytes <= maxKeyringBytes) return;
  throw new EnclaveManagerError(
    'damaged',
    `The keyring has ${count} documents of ${bytes} bytes, more than ${maxKeyringDocuments} documents or ${maxKeyringBytes} bytes.`,
    { hint },
  );
}
