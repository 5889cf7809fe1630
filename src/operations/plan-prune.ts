import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { backupsPrefix } from '#format/layout.ts';
import type { OpenedKeyring } from '#keys/keyring.ts';
import type { BackupSummary } from '#model/backup.ts';
import type { BackupId } from '#model/identifiers.ts';
import { decideRetention, type KeepReason, type RetentionPolicy } from '#model/retention.ts';
import type { LocalState } from '#ports/local-state.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import type { OperationContext } from './context.ts';
import { sortRejected, type DisownedManifest } from './disowned-manifests.ts';
import { describeForks } from './forks.ts';
import { lostRows } from './emptied-tables.ts';
import { refuseHidden } from './hidden-backups.ts';
import { readCatalog, type Catalog, type CatalogBackup } from './read-catalog.ts';
import { seeCatalog } from './see-catalog.ts';

export interface PruneSettings {
  readonly policy: RetentionPolicy;
  readonly graceMs: number;
}

/** What prune reads to decide; a dry run needs no more. */
export interface PrunedRepository {
  readonly store: ObjectStore;
  readonly keyring: OpenedKeyring;
  readonly localState: LocalState;
}

export type PrunedBackup = Pick<BackupSummary, 'id' | 'kind' | 'sequence' | 'startedAt'>;

export interface KeptBackup extends PrunedBackup {
  readonly reasons: readonly KeepReason[];
}

/** Which backups stay and which go. */
export interface PrunePlan {
  readonly catalog: Catalog;
  readonly kept: readonly CatalogBackup[];
  readonly removed: readonly CatalogBackup[];
  /** No backups, but what they name stays as well. */
  readonly disowned: readonly DisownedManifest[];
  readonly reasons: ReadonlyMap<BackupId, readonly KeepReason[]>;
  readonly forks: readonly string[];
  /** Tables that are empty now and whose rows would go with the removed backups; each a sentence. */
  readonly lostRows: readonly string[];
}

/**
 * Decides which backups go. Changes nothing. Stops with the error of the first manifest that is not authentic: what it
 * would name cannot be known, and so not what may go; and with `forged` where newer backups are hidden. A manifest that new
 * keys disowned is passed over.
 */
export async function planPrune(
  context: OperationContext,
  repository: PrunedRepository,
  { policy }: PruneSettings,
): Promise<PrunePlan> {
  const { store, keyring } = repository;
  context.progress.phase('looking at the backups');
  const { catalog, disowned } = await readWholeCatalog(repository, context.clock.now());
  for (const { path } of disowned) context.progress.note(`warning: ${path} ${isNoBackup}`);
  const decisions = decideRetention(catalog.backups.map(retainable), policy, context.clock.now());
  const reasons = new Map(decisions.map((decision) => [decision.id, decision.reasons]));
  const stays = ({ entry }: CatalogBackup): boolean => reasons.get(entry.id)?.length !== 0;
  const kept = catalog.backups.filter(stays);
  const removed = catalog.backups.filter((backup) => !stays(backup));
  const forks = describeForks(catalog);
  const lost = await lostRows(store, keyring, kept, removed);
  return { catalog, kept, removed, disowned, reasons, forks, lostRows: lost };
}

const isNoBackup =
  'is no backup: it came after the keys had changed, or was hidden while they did. What it names is kept until you move it away.';

/** The catalogue, if nothing is missing from it or wrong in it. */
export async function readWholeCatalog(
  repository: PrunedRepository,
  now: Date,
): Promise<{ readonly catalog: Catalog; readonly disowned: readonly DisownedManifest[] }> {
  const { store, keyring } = repository;
  const { catalog, existed } = await seeCatalog(repository, () => readCatalog(store, keyring, now));
  const rejected = catalog.rejected.filter(({ path }) => path.startsWith(backupsPrefix));
  const { disowned, unreadable } = await sortRejected(store, keyring, rejected);
  const [wrong] = unreadable;
  if (wrong !== undefined) {
    throw new EnclaveManagerError(wrong.code, `${wrong.path} is no backup of this cluster: ${wrong.reason}`, {
      hint: 'Nothing more is removed while it lies there, because what it needs is not known. Put it back from a copy, or move it away.',
    });
  }
  refuseHidden(
    { where: store.location, newest: catalog.highestSequence, existed },
    'Find the newer backups; until then nothing is removed, because they may need it. A new backup ends this too.',
  );
  return { catalog, disowned };
}

function retainable({ entry }: CatalogBackup) {
  const { id, kind, sequence, startedAt, verified, lastDrill } = entry;
  return { id, kind, sequence, startedAt, verified: verified !== null, drilled: lastDrill?.passed === true };
}

export const prunedBackup = ({ entry: { id, kind, sequence, startedAt } }: CatalogBackup): PrunedBackup => ({
  id,
  kind,
  sequence,
  startedAt,
});
