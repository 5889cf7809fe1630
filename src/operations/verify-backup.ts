import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { BackupId } from '#model/identifiers.ts';
import type { BadObject, StoredChunk } from '#pipeline/worker-protocol.ts';
import type { OperationContext } from './context.ts';
import { checkStoredChunks } from './read-back.ts';
import { distinctChunks, readManifest } from './read-manifest.ts';
import { beginReading } from './reading-time.ts';
import { recordVerification, type VerifiedRepository } from './record-verification.ts';

export interface VerificationResult {
  readonly backups: readonly BackupId[];
  /** When the reading began. */
  readonly at: string;
  readonly chunks: number;
  readonly bytes: number;
  /** Objects that did not open; `healedBy` names another object with the same rows that did. */
  readonly bad: readonly BadObject[];
  /** Backups that miss a chunk altogether. */
  readonly failed: readonly BackupId[];
}

/**
 * Reads every chunk of the backups back, opens it and compares the id of its rows, and records the result, signed.
 * What is damaged is in the result, not thrown: recorded as bad, it is stored anew by the next backup.
 */
export async function verifyBackups(
  context: OperationContext,
  repository: VerifiedRepository,
  ids: readonly BackupId[],
): Promise<VerificationResult> {
  const { store, keyring } = repository;
  const begun = beginReading(context.clock);
  const chunks = new Map<string, StoredChunk>();
  const chunksOf = new Map<BackupId, Set<string>>();
  const epochs = new Set<number>();
  for (const id of ids) {
    const manifest = await readManifest(store, keyring, id);
    manifest.summary.epochs.forEach((epoch) => epochs.add(epoch));
    const names = new Set<string>();
    for (const chunk of distinctChunks(manifest)) {
      chunks.set(chunk.object.name, chunk);
      names.add(chunk.object.name);
    }
    chunksOf.set(id, names);
  }
  const keys = [...epochs].map((epoch) => keyring.epochKeys(epoch));
  const bad = await checkStoredChunks(context, store, keys, [...chunks.values()], 'reading every chunk');
  const lost = new Set(bad.filter(({ healedBy }) => healedBy === undefined).map(({ name }) => name));
  const failed = ids.filter((id) => !lost.isDisjointFrom(chunksOf.get(id)!));
  const outcomes = [
    { backups: ids.filter((id) => !failed.includes(id)), passed: true },
    { backups: failed, passed: false },
  ].filter(({ backups }) => backups.length > 0);
  for (const outcome of outcomes) {
    const names = new Set(outcome.backups.flatMap((id) => [...chunksOf.get(id)!]));
    const badNames = bad.map(({ name }) => name).filter((name) => names.has(name));
    await recordVerification(context, repository, {
      ...outcome,
      level: 'all-chunks',
      begun,
      objects: null,
      bad: badNames,
    });
  }
  const bytes = [...chunks.values()].reduce((sum, { object }) => sum + object.sizeBytes, 0);
  return { backups: ids, at: begun.at, chunks: chunks.size, bytes, bad, failed };
}

/** Turns lost chunks into the error that a command ends with. */
export function refuseLost(result: VerificationResult): void {
  const [first] = result.bad.filter(({ healedBy }) => healedBy === undefined);
  if (first === undefined) return;
  const lost = result.bad.filter(({ healedBy }) => healedBy === undefined).length;
  throw new EnclaveManagerError(
    'damaged',
    `backup ${result.failed.join(', ')}: ${lost} of ${result.chunks} chunks are lost, the first: ${first.reason}`,
    {
      hint: 'Take a backup now (backup create): while the database still has these rows, it stores them anew and heals this backup.',
    },
  );
}
