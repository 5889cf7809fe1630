import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { manifestPath } from '#format/layout.ts';
import { appendAuditEvent } from '#store/audit.ts';
import { requireLease } from '#store/lease-rows.ts';
import { acquireLease } from '#store/leases.ts';
import type { Lease } from '#store/held-lease.ts';
import type { RunCause } from '#store/runs.ts';
import { checkMarker } from './check-marker.ts';
import { condemn } from './condemn.ts';
import { operationLease, type Cluster, type OperationContext } from './context.ts';
import { requireCurrentKeys } from './current-keys.ts';
import { deleteCondemned, judgeCondemned, type PruneFacts } from './delete-condemned.ts';
import { keptObjectsOf } from './kept-objects.ts';
import { refuseOlderLife } from './newer-life.ts';
import {
  planPrune,
  prunedBackup,
  readWholeCatalog,
  type KeptBackup,
  type PrunedBackup,
  type PrunedRepository,
  type PrunePlan,
  type PruneSettings,
} from './plan-prune.ts';
import { findIdleVerifications, keepReadings } from './prune-verifications.ts';
import { condemnedNames, readCondemned } from './read-condemned.ts';
import { recordedRun } from './recorded-run.ts';
import { removeUnderLease, type Removal } from './removal.ts';
import { requireStore } from './require-store.ts';
import { closeBegunEpochs } from './store-keys.ts';
import { surveyObjects, tallyOf, type ObjectSurvey, type Tally } from './survey-objects.ts';

export interface PruneOptions extends PruneSettings {
  readonly cause: RunCause;
  /** Go on although rows of tables that are empty now are in no backup any more after it. */
  readonly acceptEmptiedTables: boolean;
}

export interface PruneResult {
  readonly dryRun: boolean;
  readonly removed: readonly PrunedBackup[];
  readonly kept: readonly KeptBackup[];
  readonly forks: readonly string[];
  readonly lostRows: readonly string[];
  /** Everything below `chunks/` when it was listed. */
  readonly stored: Tally;
  /** No backup names it; it is recorded now, to be deleted after the grace. */
  readonly condemned: Tally;
  /** Recorded at least one grace before, and deleted now. */
  readonly deleted: Tally;
  /** Recorded and still there; what is condemned now is part of it. */
  readonly inGrace: Tally;
  /** Of those, past the grace, but a backup may live on it until the object that it names is read back. */
  readonly awaitingReadBack: Tally;
  /** Found, and left for another run because one remembers only so many. */
  readonly left: Tally;
  readonly condemnedDocumentsRemoved: number;
  readonly verificationsRemoved: number;
}

/**
 * What `prune` would do now, as far as it can be known without writing. Needs no lease, and no database; where there is one, throws
 * `superseded` as that does.
 */
export async function previewPrune(
  context: OperationContext,
  repository: PrunedRepository & Partial<Pick<Cluster, 'database' | 'server'>>,
  settings: PruneSettings,
): Promise<PruneResult> {
  const plan = await planPrune(context, repository, settings);
  const { database, server } = repository;
  if (database !== undefined && server !== undefined) await refuseOlderLife({ database, server }, plan.catalog);
  const documents = await readCondemned(repository.store, repository.keyring);
  const kept = keptObjectsOf([...plan.kept, ...plan.disowned]);
  context.progress.phase('listing objects');
  const survey = await surveyObjects(context, repository.store, kept, condemnedNames(documents));
  // The store's time is known only to who stores something; for a preview this host's will do.
  const now = new Date(Math.max(survey.newestMs, context.clock.now().getTime()));
  const facts = { catalog: plan.catalog, kept, now, graceMs: settings.graceMs };
  const doomed = new Map<string, number>();
  const judge = judgeCondemned(documents.documents, survey, facts);
  for (const document of documents.documents) {
    for (const name of judge(document, (object) => survey.condemned.has(object)).deletable) {
      doomed.set(name, survey.condemned.get(name)!);
    }
  }
  const idle = findIdleVerifications(plan.kept, plan.catalog.verifications, now, settings.graceMs);
  context.progress.end();
  return {
    ...describe(plan, survey),
    dryRun: true,
    deleted: tallyOf(doomed.values()),
    inGrace: tallyOf([...survey.condemned].filter(([name]) => !doomed.has(name)).map(([, bytes]) => bytes)),
    awaitingReadBack: { objects: 0, bytes: 0 },
    condemnedDocumentsRemoved: 0,
    verificationsRemoved: idle.length,
  };
}

/**
 * Removes what the policy drops: manifests first; then records the objects that no backup names any more, and deletes
 * those that were recorded a grace ago and are still unreferenced. Repeated after a crash anywhere it goes on.
 *
 * Throws `lease-held`, `superseded`, the error of a manifest that is not authentic, `rows-differ` where rows of emptied tables would
 * be lost, and what the store throws.
 */
export async function prune(context: OperationContext, cluster: Cluster, options: PruneOptions): Promise<PruneResult> {
  const lease = await acquireLease(cluster.database, { ...operationLease, holder: context.holder }, context);
  try {
    context.crashPoints.reach('prune.lease-taken');
    const held = { ...context, signal: AbortSignal.any([context.signal, lease.lost]) };
    return await recordedRun(held, cluster.database, { kind: 'prune', cause: options.cause }, () =>
      pruneUnderLease(held, cluster, lease, options),
    );
  } finally {
    await lease.release();
  }
}

async function pruneUnderLease(
  context: OperationContext,
  cluster: Cluster,
  lease: Lease,
  options: PruneOptions,
): Promise<PruneResult> {
  const { keyring, localState } = cluster;
  const store = requireStore(cluster.store);
  const repository = { store, keyring, localState };
  const removal = { lease, store };
  await checkMarker(store, keyring);
  await requireCurrentKeys(keyring, { database: cluster.database, store });
  await closeBegunEpochs(store, keyring, { check: () => lease.assertHeld() });
  const plan = await planPrune(context, repository, options);
  // The lease of another database does not keep this one out.
  await refuseOlderLife(cluster, plan.catalog);
  refuseLostRows(plan, options);
  for (const fork of plan.forks) context.progress.note(`warning: ${fork}; both are kept`);
  await removeManifests(context, repository, removal, plan);

  const documents = await readCondemned(store, keyring);
  for (const sentence of documents.rejected) context.progress.note(`warning: ${sentence}`);
  context.progress.phase('listing objects');
  const surveyed = keptObjectsOf([...plan.kept, ...plan.disowned]);
  const survey = await surveyObjects(context, store, surveyed, condemnedNames(documents));
  const now = await condemn(context, repository, lease, [...survey.unreferenced.keys()]);
  context.crashPoints.reach('prune.condemned');

  // Again: a backup that began before this prune may have been listed since.
  const { catalog, disowned } = await readWholeCatalog(repository, context.clock.now());
  const kept = keptObjectsOf([...catalog.backups, ...disowned]);
  const facts: PruneFacts = { catalog, kept, now, graceMs: options.graceMs };
  const deletion = await deleteCondemned(context, repository, removal, survey, facts);
  const idle = findIdleVerifications(catalog.backups, catalog.verifications, now, options.graceMs);
  for (const { path } of idle) {
    await removeUnderLease(context, removal, path);
    context.crashPoints.reach('prune.verification-removed');
  }
  const result = { ...describe(plan, survey), ...deletion, dryRun: false, verificationsRemoved: idle.length };
  await recordRemoval(context, cluster, lease, result);
  context.progress.end();
  return result;
}

const mostNamed = 100;

/**
 * What is gone cannot be listed any more. A prune that removes nothing leaves no event: each would be a change for the next
 * backup. One that was killed before has the next tell what that one removes; the manifests it removed are missed then.
 */
async function recordRemoval(
  context: OperationContext,
  { database }: Cluster,
  lease: Lease,
  { removed, deleted, condemned }: PruneResult,
): Promise<void> {
  if (removed.length === 0 && deleted.objects === 0) return;
  const details = {
    backups: removed.length,
    first: removed.slice(0, mostNamed).map(({ id, sequence }) => ({ id, sequence })),
    deleted: { ...deleted },
    condemned: { ...condemned },
  };
  await database.transaction(async (queries) => {
    await requireLease(queries, lease.token);
    const event = { type: 'BACKUP' as const, action: 'backups pruned', actor: context.holder, subject: null, details };
    await appendAuditEvent(queries, event, context);
  });
}

/** The oldest first, so that a crash leaves what a policy would have kept longest. */
async function removeManifests(
  context: OperationContext,
  repository: PrunedRepository,
  removal: Removal,
  { kept, removed, catalog: { verifications } }: PrunePlan,
): Promise<void> {
  await keepReadings(context, repository, { kept, removed, verifications });
  context.crashPoints.reach('prune.readings-kept');
  for (const { entry } of removed.toReversed()) {
    await removeUnderLease(context, removal, manifestPath(entry.id));
    context.crashPoints.reach('prune.manifest-removed');
  }
}

function refuseLostRows({ lostRows }: PrunePlan, { acceptEmptiedTables }: PruneOptions): void {
  const [first] = lostRows;
  if (first === undefined || acceptEmptiedTables) return;
  throw new EnclaveManagerError('rows-differ', `${first}; nothing was removed`, {
    hint: 'If that was a mistake, restore an older backup. If it is as it should be, say so once: backup prune --accept-emptied-tables.',
  });
}

function describe(plan: PrunePlan, survey: ObjectSurvey) {
  return {
    removed: plan.removed.map(prunedBackup),
    kept: plan.kept.map((backup) => ({ ...prunedBackup(backup), reasons: plan.reasons.get(backup.entry.id) ?? [] })),
    forks: plan.forks,
    lostRows: plan.lostRows,
    stored: survey.stored,
    condemned: tallyOf(survey.unreferenced.values()),
    left: survey.left,
  };
}
