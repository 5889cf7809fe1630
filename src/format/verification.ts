/** Signed results of reading backups back, one object per run (docs/backup-format.md, "Verifications"). */
import { z } from 'zod';

import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { boundedList } from '#keys/bounded-list.ts';
import type { OpenedKeyring } from '#keys/keyring.ts';
import type { Verified } from '#model/backup.ts';
import type { BackupId, NodeId } from '#model/identifiers.ts';

import { verificationPath } from './layout.ts';
import { maxObjects } from './manifest-schema.ts';
import {
  checkedPayload,
  count,
  isStrictlyAscending,
  objectName,
  timedIdentifier,
  timestamp,
  uuid,
} from './signed-payload.ts';

const maxBackups = 10_000;

export interface Verification {
  readonly verificationId: string;
  readonly backups: readonly BackupId[];
  readonly level: Verified['level'];
  /** When the reading began. */
  readonly at: string;
  /** How long before this document it began, by the reader's own clocks; `null` where that is not known. */
  readonly readingMs: number | null;
  readonly nodeId: NodeId;
  /** Whether every chunk that was asked for could be had. */
  readonly passed: boolean;
  /** Names of the objects that were read, sorted; `null`: all that the manifests of `backups` name. */
  readonly objects: readonly string[] | null;
  /** Names of objects that were missing or did not open to their rows, sorted. */
  readonly bad: readonly string[];
  /** Of a drill, how long it took. */
  readonly drill: { readonly durationMs: number } | null;
}

const sortedNames = boundedList(objectName, { max: maxObjects }).refine(
  isStrictlyAscending,
  'is not sorted, or has duplicates',
);

const verificationSchema = z.object({
  verificationId: timedIdentifier,
  backups: boundedList(timedIdentifier, { min: 1, max: maxBackups }),
  level: z.enum(['new-chunks', 'all-chunks', 'restored']),
  at: timestamp,
  readingMs: count.nullable().default(null),
  nodeId: uuid,
  passed: z.boolean(),
  objects: sortedNames.nullable(),
  bad: sortedNames,
  drill: z.object({ durationMs: count }).nullable(),
});

export function encodeVerification(keyring: OpenedKeyring, verification: Verification): Buffer {
  return keyring.sign('verification', verificationSchema.parse(verification));
}

/** `forged` unless this cluster signed it, `damaged` where it does not fit or lies under another name. */
export async function openVerification(
  keyring: OpenedKeyring,
  verificationId: string,
  bytes: Uint8Array,
): Promise<Verification> {
  const payload = await keyring.verifyAside('verification', bytes);
  const path = verificationPath(verificationId);
  const verification = checkedPayload(verificationSchema, path, payload);
  if (verification.verificationId === verificationId) return verification;
  throw new EnclaveManagerError('damaged', `${path} holds verification ${verification.verificationId}`);
}
