/**
 * Where things lie in the repository (docs/backup-format.md, "Layout"). The `keyring/` part has its paths in `#keys`.
 */
import { isBackupId, type BackupId } from '#model/identifiers.ts';

/** Version of everything below the repository root. A reader refuses a higher one. */
export const formatVersion = 1;

export const markerPath = 'enclave-manager.json';
export const keyringPrefix = 'keyring/';
export const chunksPrefix = 'chunks/';
export const backupsPrefix = 'backups/';
/** What `repository check` stores for a moment; nothing else lies there. */
export const probePrefix = 'check-';
export const verificationsPrefix = 'verifications/';
export const condemnedPrefix = 'condemned/';

const objectNamePattern = /^([0-9a-f]{64})\.([0-9a-f]{16})$/;
const namedDocument = /^([^/]+)\.json$/;

/** The name of a stored chunk: `<id>.<object>`, 64 and 16 hex digits. */
export interface ObjectName {
  /** Keyed HMAC of the rows: the same for the same rows. */
  readonly id: string;
  /** First 16 hex digits of the SHA-256 of the stored bytes: different for two encryptions of the same rows. */
  readonly object: string;
}

export function parseObjectName(name: string): ObjectName | undefined {
  const match = objectNamePattern.exec(name);
  return match ? { id: match[1]!, object: match[2]! } : undefined;
}

/** `chunks/<2 hex>/<id>.<object>` */
export function chunkObjectPath(objectName: string): string {
  return `${chunksPrefix}${objectName.slice(0, 2)}/${objectName}`;
}

/** The prefix under which every object with this id lies. */
export function chunkPrefix(id: string): string {
  return `${chunksPrefix}${id.slice(0, 2)}/${id}.`;
}

/** The object name in a path, or `undefined` for anything that is not exactly `chunkObjectPath` of a name. */
export function parseChunkObjectPath(path: string): string | undefined {
  const name = path.slice(path.lastIndexOf('/') + 1);
  return objectNamePattern.test(name) && chunkObjectPath(name) === path ? name : undefined;
}

/** `backups/<backup id>.json` */
export function manifestPath(backupId: BackupId): string {
  return `${backupsPrefix}${backupId}.json`;
}

export function parseManifestPath(path: string): BackupId | undefined {
  return parseTimedPath(backupsPrefix, path);
}

/** `verifications/<verification id>.json` */
export function verificationPath(verificationId: string): string {
  return `${verificationsPrefix}${verificationId}.json`;
}

export function parseVerificationPath(path: string): string | undefined {
  return parseTimedPath(verificationsPrefix, path);
}

/** `condemned/<condemned id>.json` */
export function condemnedPath(condemnedId: string): string {
  return `${condemnedPrefix}${condemnedId}.json`;
}

export function parseCondemnedPath(path: string): string | undefined {
  return parseTimedPath(condemnedPrefix, path);
}

function parseTimedPath(prefix: string, path: string): string | undefined {
  if (!path.startsWith(prefix)) return undefined;
  const id = namedDocument.exec(path.slice(prefix.length))?.[1];
  return id !== undefined && isBackupId(id) ? id : undefined;
}
