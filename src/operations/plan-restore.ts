import { type EnclaveManagerError, isEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { CatalogEntry } from '#model/backup.ts';
import type { BackupId } from '#model/identifiers.ts';
import { causeOf } from '#model/unknown.ts';
import type { CatalogCache } from '#ports/catalog-cache.ts';
import type { DatabaseServer } from '#ports/database.ts';
import type { LocalState } from '#ports/local-state.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import type { Sealing } from '#ports/sealing.ts';
import { loadMigrations } from '#store/migrations.ts';
import { refuseHidden, type AskedFreshness } from './hidden-backups.ts';
import { readLiveContent } from './live-content.ts';
import { readLiveCluster } from './read-live-cluster.ts';
import { readKeyringDocuments, type Repository } from './open-repository.ts';
import { readCatalog, unproved } from './read-catalog.ts';
import { judgeKeys, openPlannedKeys, type PlannedKeys } from './plan-keys.ts';
import { recallBackup } from './recall-catalog.ts';
import { rememberedSequence } from './remember-sequence.ts';
import type { PlannedServer, RestorePlan } from './restore-plan.ts';
import { asSentence, findObstacles } from './restore-obstacles.ts';
import { noteSeen } from './see-catalog.ts';
import { unverifiedNodes } from './unverified-nodes.ts';

export interface PlanHost {
  readonly store: ObjectStore;
  readonly sealing: Sealing;
  readonly localState: LocalState;
  /** Without it every manifest is read. */
  readonly catalogCache?: CatalogCache | undefined;
  /** Where it was opened already. */
  readonly repository?: Repository | undefined;
  /** The cluster key that a person named. */
  readonly clusterKey?: string | undefined;
  /** What a person accepts to lose. */
  readonly accepted?: AskedFreshness | undefined;
  /** What was verified at a later time, by clocks that are wrong, is told as of no known time. */
  readonly now?: Date | undefined;
  /** `false`: a person gave it up. */
  readonly safetyBackup?: boolean | undefined;
  /** `undefined` where no database is reachable: planning needs none. */
  readonly server: DatabaseServer | undefined;
}

/** Without a drill to go by: what a small server loads, with time for its start. */
const loadBytesPerMs = 20_000;
const startMs = 5_000;
/** Rows, their indexes and the write-ahead log. */
const spaceFactor = 3;
const spaceFloorBytes = 64 * 1024 * 1024;

/** Looks at everything a restore needs and changes nothing but this host's memory of what it has seen. Works without a database, and without a key. */
export async function planRestore(host: PlanHost, idOrLatest: BackupId | 'latest'): Promise<RestorePlan> {
  return (await planAndJudge(host, idOrLatest)).plan;
}

/** With what a restore by this plan ends with: `undefined` where it would begin. */
export interface JudgedPlan {
  readonly plan: RestorePlan;
  readonly refusal: EnclaveManagerError | undefined;
}

export async function planAndJudge(host: PlanHost, idOrLatest: BackupId | 'latest'): Promise<JudgedPlan> {
  // Before the keys are: what another process of this host learns meanwhile may be newer than both.
  const state = await host.localState.read();
  const keys = await openPlannedKeys(host);
  const repository = 'unopened' in keys ? undefined : keys.repository;
  const { catalog, backup: planned } = await findPlanned(host, repository, idOrLatest);
  const { entry } = planned;
  const { unproved: unprovedBy, hidden, notPermitted } = await judgeKeys(host, keys, catalog, state);
  if (repository !== undefined && unprovedBy === undefined)
    await noteSeen({ ...repository, localState: host.localState }, catalog);
  const server = host.server === undefined ? null : await describeServer(host.server);
  const programSchemaVersion = loadMigrations().length;
  const newest = catalog.backups[0]!.entry;
  const unknown = unprovedBy === undefined ? null : causeOf(unprovedBy);
  const facts = {
    backup: unknown === null ? entry : unproved(entry),
    unknown,
    clusterId: entry.clusterId,
    clusterKey: repository?.keyring.fingerprint ?? null,
    newestSequence: newest.sequence,
    newestStartedAt: newest.startedAt,
    newerBackups: catalog.backups.findIndex((backup) => backup.entry === entry),
    highestSequenceSeen: state?.clusterId === entry.clusterId ? state.highestSequence : null,
    openableHere: opensHere(keys, entry),
    openers: await findOpeners(host.store, repository, entry),
    schemaVersion: entry.schemaVersion,
    programSchemaVersion,
    rows: entry.rows,
    logicalBytes: entry.logicalBytes,
    storedBytes: entry.storedBytes,
    estimatedDurationMs: entry.lastDrill?.durationMs ?? Math.round(startMs + entry.logicalBytes / loadBytesPerMs),
    neededBytes: entry.logicalBytes * spaceFactor + spaceFloorBytes,
    server,
  };
  const found = findObstacles(facts, {
    location: host.store.location,
    unproved: unprovedBy,
    notPermitted,
    newestSequence: repository === undefined ? newest.sequence : catalog.highestSequence,
    accepted: host.accepted ?? {},
    safetyBackup: host.safetyBackup ?? true,
  });
  const hiding = hidden === undefined ? [] : [{ sentence: asSentence(hidden.message), error: hidden }];
  // Whom only a hidden membership names was not evicted: that one has to be found.
  const isFirst = repository !== undefined && !repository.keyring.evicted.has(repository.keyring.nodeId);
  const all = isFirst ? [...hiding, ...found] : [...found, ...hiding];
  return { plan: { ...facts, obstacles: all.map(({ sentence }) => sentence) }, refusal: all[0]?.error };
}

const opensHere = (keys: PlannedKeys, { openableBy }: CatalogEntry): boolean | null => {
  if ('repository' in keys) return openableBy.includes(keys.repository.keyring.nodeId);
  return keys.unopened.code === 'no-key' ? false : null;
};

/** Where nothing is left of what this host has seen, it was taken away: that is said rather than that nothing is there. */
async function findPlanned(
  host: PlanHost,
  repository: Repository | undefined,
  idOrLatest: BackupId | 'latest',
): ReturnType<typeof recallBackup> {
  try {
    return await recallBackup(host.store, repository?.keyring, host.catalogCache, idOrLatest, host.now);
  } catch (error) {
    if (repository === undefined || !isEnclaveManagerError(error, 'not-found')) throw error;
    const { highestSequence } = await readCatalog(host.store, repository.keyring);
    if (highestSequence > 0) throw error;
    const existed = await rememberedSequence({ keyring: repository.keyring, localState: host.localState });
    refuseHidden(
      { where: host.store.location, newest: 0, existed },
      'Find the backups, and put them back from a copy.',
    );
    throw error;
  }
}

async function findOpeners(
  store: ObjectStore,
  repository: Repository | undefined,
  entry: CatalogEntry,
): Promise<RestorePlan['openers']> {
  const nodes =
    repository?.keyring.membership.nodes ?? unverifiedNodes(await readKeyringDocuments(store), entry.epochs);
  return nodes
    .filter(({ nodeId }) => repository === undefined || entry.openableBy.includes(nodeId))
    .map(({ nodeId, name, site }) => ({ nodeId, name, site }));
}

async function describeServer(server: DatabaseServer): Promise<PlannedServer> {
  const { liveName, location, engine, version } = server;
  const exists = (await server.databaseIdentity(liveName)) !== undefined;
  const content = await readLiveContent(server);
  // Like an import, a cluster that was only begun serves nobody, and is in nobody's way.
  const cluster = content === 'cluster' ? await readLiveCluster({ server }) : undefined;
  const clusterId = cluster?.clusterId ?? null;
  const live = exists
    ? { name: liveName, sizeBytes: await server.databaseSizeBytes(liveName), clusterId, content }
    : null;
  return {
    location,
    engine: `${engine} ${version}`,
    live,
    missingPrivileges: await server.missingPrivileges(),
    freeBytes: (await server.freeBytes()) ?? null,
  };
}
