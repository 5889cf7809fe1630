import { isEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { backupsPrefix } from '#format/layout.ts';
import type { CatalogEntry } from '#model/backup.ts';
import { judgeHealth, type Finding, type HealthFacts } from '#model/health.ts';
import { noKeyringGaps } from '#model/keyring-gaps.ts';
import { causeOf, type UnknownCause } from '#model/unknown.ts';
import { productVersion } from '#model/product.ts';
import { readCluster } from '#store/cluster.ts';
import { schemaVersion } from '#store/migrate.ts';
import type { RunKind } from '#store/runs.ts';
import { keyChangeUnderWay, type KeyChangeUnderWay } from './change-keys.ts';
import { leftDatabases, type LeftDatabase } from './clean-up-restore.ts';
import { checkMarker } from './check-marker.ts';
import type { Cluster, OperationContext } from './context.ts';
import { describeForks } from './forks.ts';
import { findKeyringGaps } from './keyring-gaps.ts';
import { describeNewerLife, newerLifeHint } from './newer-life.ts';
import { readCatalog, type Catalog } from './read-catalog.ts';
import { readCondemned } from './read-condemned.ts';
import { readSchedules, type ScheduleSettings, type ScheduleState } from './read-schedules.ts';
import { withoutRepository } from './require-store.ts';
import { describeUnlisted, newestRecordedBackup, type UnlistedBackup } from './unlisted-backup.ts';
import { seeCatalog, type SeenCatalog } from './see-catalog.ts';

export interface StatusSettings extends ScheduleSettings {
  /** Which of database, repository and key lie on one disk (see `model/health.ts`). */
  readonly onOneDisk: readonly string[];
  readonly embeddedDatabase: boolean;
}

export interface Status {
  readonly healthy: boolean;
  readonly findings: readonly Finding[];
  readonly productVersion: string;
  readonly clusterId: string;
  readonly clusterKey: string;
  readonly nodeId: string;
  /** `null` when no eviction or rotation is incomplete. */
  readonly keyChange: KeyChangeUnderWay | null;
  readonly database: {
    readonly location: string;
    readonly name: string;
    readonly engine: string;
    readonly schemaVersion: number;
  };
  /** `null`: this manager runs without backups. */
  readonly repository: string | null;
  /** Why nothing is known of the backups: what is `null` below is unknown then. `null` where the repository was read. */
  readonly unknown: UnknownCause | null;
  /** The newest backup that is not a safety backup. */
  readonly lastBackup: CatalogEntry | null;
  /** The newest drill of any backup: the headline. */
  readonly lastDrill: {
    readonly backupId: string;
    readonly at: string;
    readonly passed: boolean;
    readonly durationMs: number;
  } | null;
  readonly backups: number | null;
  /** Of all backups, safety backups included: what a recovery line names. */
  readonly highestSequence: number | null;
  readonly newestStartedAt: string | null;
  readonly schedules: Readonly<Record<RunKind, ScheduleStatus>>;
  /** Objects that prune has recorded to delete, since the oldest record, by the store's clock; `null` where that cannot be read. */
  readonly inGrace: { readonly objects: number; readonly since: string | null } | null;
  readonly openers: readonly { readonly nodeId: string; readonly name: string; readonly site: string | null }[] | null;
  /** Databases that restores left beside the live one. */
  readonly leftDatabases: readonly LeftDatabase[];
}

export interface ScheduleStatus {
  readonly schedule: string | null;
  readonly nextDue: string | null;
  readonly overdue: boolean;
  readonly history: readonly {
    readonly beganAt: string;
    readonly endedAt: string | null;
    readonly outcome: string;
    readonly message: string | null;
  }[];
}

/** Everything that `status` and the start screen show, from database and repository as they are now. */
export async function readStatus(
  context: Pick<OperationContext, 'clock'>,
  cluster: Cluster,
  settings: StatusSettings,
): Promise<Status> {
  const { keyring, database, server } = cluster;
  const now = context.clock.now();
  const { catalog, existed, unlisted, repository } = await tryCatalog(context, cluster);
  const row = await readCluster(database.queries);
  const schedules = await readSchedules(database.queries, catalog, settings, row?.createdAt ?? now, now);
  const lastBackup = catalog?.backups.find(({ entry }) => entry.kind !== 'safety')?.entry ?? null;
  const lastDrill = newestDrill(catalog);
  const keyChange = keyChangeUnderWay(keyring);
  const hiddenBackups = findHidden(catalog, existed);
  const unknown = unknownBackups(repository, catalog, hiddenBackups);
  const health = judgeHealth({
    repository,
    newestBackup:
      lastBackup === null
        ? undefined
        : { ...lastBackup, verified: lastBackup.verified !== null, openers: lastBackup.openableBy.length },
    markerProblem: await findMarkerProblem(cluster),
    hiddenBackups,
    unlistedBackup: findUnlisted(unlisted, hiddenBackups),
    newerLife: await findNewerLife(cluster, catalog),
    rejectedManifests: rejectedManifests(catalog),
    ...(await keyringFacts(cluster, repository)),
    forks: catalog === undefined ? [] : describeForks(catalog),
    lastDrill: lastDrill ?? undefined,
    backupDue: schedules.backup.due,
    drillDue: schedules.drill.due,
    verifyDue: schedules.verify.due,
    pruneDue: schedules.prune.due,
    failedRuns: Object.values(schedules).flatMap(failedRun),
    onOneDisk: settings.onOneDisk,
    embeddedDatabase: settings.embeddedDatabase,
    softwareSealing: isSealedBySoftware(cluster),
    keyChange: keyChange && { ...keyChange, waitingFor: keyChange.waitingFor.map(({ name }) => name) },
  });
  return {
    ...health,
    keyChange,
    productVersion,
    clusterId: keyring.clusterId,
    clusterKey: keyring.fingerprint,
    nodeId: keyring.nodeId,
    database: await describeDatabase(cluster),
    repository: cluster.store?.location ?? null,
    unknown,
    lastBackup,
    lastDrill,
    backups: catalog?.backups.length ?? null,
    highestSequence: catalog?.highestSequence ?? null,
    newestStartedAt: catalog?.backups[0]?.entry.startedAt ?? null,
    schedules: scheduleStatuses(schedules),
    inGrace: await readInGrace(cluster, repository),
    openers: unknown === null ? openersOf(cluster, lastBackup) : null,
    leftDatabases: await leftDatabases(server),
  };
}

function isSealedBySoftware({ keyring: { membership, nodeId } }: Cluster): boolean {
  return membership.nodes.find((node) => node.nodeId === nodeId)?.sealingProvider === 'software';
}

/** What is rejected in place of a document of the cluster is told with what is to be done about it. */
async function keyringFacts(
  { store, keyring }: Cluster,
  repository: HealthFacts['repository'],
): Promise<Pick<HealthFacts, 'rejectedKeyring' | 'keyringGaps'>> {
  const isRead = store !== undefined && repository === 'reachable';
  const keyringGaps = isRead ? await findKeyringGaps(store, keyring) : noKeyringGaps;
  const others = keyring.rejected.filter(({ path }) => !keyringGaps.replaced.includes(path));
  return { rejectedKeyring: others.map(({ path, reason }) => `${path} counts for nothing: ${reason}`), keyringGaps };
}

async function describeDatabase({ database, server }: Cluster): Promise<Status['database']> {
  return {
    location: server.location,
    name: database.name,
    engine: `${server.engine} ${server.version}`,
    schemaVersion: await schemaVersion(database),
  };
}

interface TriedCatalog extends Partial<SeenCatalog<Catalog>> {
  readonly repository: HealthFacts['repository'];
  readonly unlisted?: UnlistedBackup | undefined;
}

async function tryCatalog({ clock }: Pick<OperationContext, 'clock'>, cluster: Cluster): Promise<TriedCatalog> {
  const { store, keyring } = cluster;
  if (store === undefined) return { repository: 'none' };
  const recorded = await newestRecordedBackup(cluster.database.queries, clock);
  try {
    const seen = await seeCatalog(cluster, () => readCatalog(store, keyring, clock.now()));
    return { ...seen, unlisted: describeUnlisted(recorded, seen.catalog, store), repository: 'reachable' };
  } catch (error) {
    if (isEnclaveManagerError(error)) return { repository: causeOf(error) };
    throw error;
  }
}

/** None of the backups is listed, but not because there is none. */
function unknownBackups(
  repository: HealthFacts['repository'],
  catalog: Catalog | undefined,
  hidden: HealthFacts['hiddenBackups'],
): UnknownCause | null {
  if (repository === 'none') return causeOf(withoutRepository());
  if (repository !== 'reachable') return repository;
  if (catalog === undefined || catalog.backups.length > 0) return null;
  if (hidden === undefined && rejectedManifests(catalog).length === 0) return null;
  const message = `all backups ${hidden === undefined ? 'are unreadable or forged' : 'were deleted or hidden'}`;
  return { code: 'forged', message, hint: 'Put them back from a copy: see the findings.' };
}

async function readInGrace(
  { store, keyring }: Cluster,
  repository: HealthFacts['repository'],
): Promise<Status['inGrace']> {
  if (store === undefined || repository !== 'reachable') return null;
  const { documents } = await readCondemned(store, keyring);
  const times = documents.map(({ modifiedAt }) => modifiedAt.getTime());
  const objects = documents.reduce((sum, document) => sum + document.objects.length, 0);
  return { objects, since: times.length === 0 ? null : new Date(Math.min(...times)).toISOString() };
}

/** Without its marker, or with another cluster's, nothing is written to a repository: every backup fails. */
async function findMarkerProblem({ store, keyring }: Cluster): Promise<string | undefined> {
  if (store === undefined) return undefined;
  try {
    await checkMarker(store, keyring);
    return undefined;
  } catch (error) {
    if (isEnclaveManagerError(error, 'repository-unreachable')) return undefined;
    if (isEnclaveManagerError(error)) return error.message;
    throw error;
  }
}

/** By the high-water mark that a restore on this host is held to. */
function findHidden(catalog: Catalog | undefined, seenSequence = 0): HealthFacts['hiddenBackups'] {
  if (catalog === undefined) return undefined;
  const { highestSequence: newestSequence } = catalog;
  return seenSequence > newestSequence ? { seenSequence, newestSequence } : undefined;
}

/** What this host has seen tells more. */
function findUnlisted(
  unlisted: UnlistedBackup | undefined,
  hidden: HealthFacts['hiddenBackups'],
): HealthFacts['unlistedBackup'] {
  return hidden === undefined ? unlisted : undefined;
}

async function findNewerLife(cluster: Cluster, catalog: Catalog | undefined): Promise<HealthFacts['newerLife']> {
  const message = catalog && (await describeNewerLife(cluster, catalog));
  return message === undefined ? undefined : { message, hint: newerLifeHint };
}

function rejectedManifests(catalog: Catalog | undefined): string[] {
  const manifests = catalog?.rejected.filter(({ path }) => path.startsWith(backupsPrefix)) ?? [];
  return manifests.map(({ path, reason }) => `${path} is not a backup of this cluster: ${reason}`);
}

function newestDrill(catalog: Catalog | undefined): Status['lastDrill'] {
  const drills =
    catalog?.backups.flatMap(({ entry }) =>
      entry.lastDrill === null ? [] : [{ backupId: entry.id, ...entry.lastDrill }],
    ) ?? [];
  return drills.toSorted((a, b) => Date.parse(b.at) - Date.parse(a.at))[0] ?? null;
}

function openersOf({ keyring }: Cluster, backup: CatalogEntry | null): NonNullable<Status['openers']> {
  const nodes = keyring.membership.nodes.filter(({ nodeId }) => backup?.openableBy.includes(nodeId));
  return nodes.map(({ nodeId, name, site }) => ({ nodeId, name, site }));
}

/** The newest run, where it failed and nothing of its kind succeeded since. */
function failedRun({ kind, history, runs }: ScheduleState): HealthFacts['failedRuns'] {
  const newest = history.failures === 0 ? undefined : runs.find(({ outcome }) => outcome === 'failed');
  if (newest === undefined) return [];
  return [
    {
      kind,
      at: (newest.endedAt ?? newest.beganAt).toISOString(),
      message: newest.error?.message ?? 'no reason recorded',
    },
  ];
}

const scheduleStatuses = ({ backup, drill, verify, prune }: Record<RunKind, ScheduleState>): Status['schedules'] => ({
  backup: scheduleStatus(backup),
  drill: scheduleStatus(drill),
  verify: scheduleStatus(verify),
  prune: scheduleStatus(prune),
});

function scheduleStatus({ schedule, due, runs }: ScheduleState): ScheduleStatus {
  const history = runs.map(({ beganAt, endedAt, outcome, error }) => ({
    beganAt: beganAt.toISOString(),
    endedAt: endedAt?.toISOString() ?? null,
    outcome,
    message: error?.message ?? null,
  }));
  return { schedule, nextDue: due?.attemptAt.toISOString() ?? null, overdue: due?.overdue ?? false, history };
}
