import { isEnclaveManagerError, type EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { CatalogEntry } from '#model/backup.ts';
import type { OpenedKeyring } from '#keys/keyring.ts';
import type { BackupId } from '#model/identifiers.ts';
import { causeOf, unknownBecause, withoutPeriod, type UnknownCause } from '#model/unknown.ts';
import type { CatalogCache } from '#ports/catalog-cache.ts';
import type { DatabaseServer } from '#ports/database.ts';
import type { LocalState, NodeState } from '#ports/local-state.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import type { Sealing } from '#ports/sealing.ts';
import { loadMigrations } from '#store/migrations.ts';
import { withCarriedMembership } from './carried-membership.ts';
import { hasImport } from './find-import.ts';
import { refuseHidden } from './hidden-backups.ts';
import { describeHiddenMembership } from './hold-to-memory.ts';
import { describeNewerKey, liveDatabaseVouches, nameTheKey } from './newer-key.ts';
import { readLiveCluster } from './read-live-cluster.ts';
import { openRepository, readKeyringDocuments, type Repository } from './open-repository.ts';
import { readCatalog, unproved, type Catalog } from './read-catalog.ts';
import { recallBackup } from './recall-catalog.ts';
import { rememberedSequence } from './remember-sequence.ts';
import { unverifiedNodes } from './unverified-nodes.ts';

export interface RestorePlan {
  readonly backup: CatalogEntry;
  /** Why nothing here proves what the repository says of itself; `null` where it is proved. */
  readonly unknown: UnknownCause | null;
  readonly clusterId: string;
  /** `null` on a host without a key. */
  readonly clusterKey: string | null;
  readonly newestSequence: number;
  readonly newestStartedAt: string;
  /** Newer backups than this one, safety backups included. */
  readonly newerBackups: number;
  /** What this host remembers; `null`: nothing, so that freshness has to be confirmed. */
  readonly highestSequenceSeen: number | null;
  /** `null`: unknown, because what holds the key of this host did not answer. */
  readonly openableHere: boolean | null;
  /** Hosts that can open it; nothing proves it where `unknown` says why. */
  readonly openers: readonly { readonly nodeId: string; readonly name: string; readonly site: string | null }[];
  readonly schemaVersion: number;
  readonly programSchemaVersion: number;
  readonly rows: number;
  readonly logicalBytes: number;
  readonly storedBytes: number;
  readonly estimatedDurationMs: number;
  /** About how much space the new database takes while it is built beside the old one. */
  readonly neededBytes: number;
  /** `null` where no database could be asked. */
  readonly server: PlannedServer | null;
  /** Why `restore run` would refuse now; each a sentence. Empty: it would begin. */
  readonly obstacles: readonly string[];
}

export interface PlannedServer {
  readonly location: string;
  readonly engine: string;
  /** The database that would be replaced. */
  readonly live: { readonly name: string; readonly sizeBytes: number; readonly clusterId: string | null } | null;
  readonly missingPrivileges: readonly string[];
  /** `null` where the server cannot be asked. */
  readonly freeBytes: number | null;
}

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
  /** `undefined` where no database is reachable: planning needs none. */
  readonly server: DatabaseServer | undefined;
}

/** Without a drill to go by: what a small server loads, with time for its start. */
const loadBytesPerMs = 20_000;
const startMs = 5_000;
/** Rows, their indexes and the write-ahead log. */
const spaceFactor = 3;
const spaceFloorBytes = 64 * 1024 * 1024;

/** Looks at everything a restore needs and changes nothing. Works without a database, and without a key. */
export async function planRestore(host: PlanHost, idOrLatest: BackupId | 'latest'): Promise<RestorePlan> {
  const opened = await tryOpen(host);
  const repository = 'keyring' in opened ? opened : undefined;
  const { catalog, backup: planned } = await findPlanned(host, repository, idOrLatest);
  const { entry } = planned;
  const state = await host.localState.read();
  const server = host.server === undefined ? null : await describeServer(host.server);
  const programSchemaVersion = loadMigrations().length;
  const newest = catalog.backups[0]!.entry;
  const newerKey = repository && (await newerKeyOf(host, repository.keyring, state, server));
  const unknown = 'keyring' in opened ? (newerKey ?? null) : causeOf(opened);
  const facts = {
    backup: unknown === null ? entry : unproved(entry),
    unknown,
    clusterId: entry.clusterId,
    clusterKey: repository?.keyring.fingerprint ?? null,
    newestSequence: newest.sequence,
    newestStartedAt: newest.startedAt,
    newerBackups: catalog.backups.findIndex((backup) => backup.entry === entry),
    highestSequenceSeen: state?.clusterId === entry.clusterId ? state.highestSequence : null,
    openableHere: opensHere(opened, entry),
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
  const found = obstacles(facts, repository === undefined ? newest.sequence : catalog.highestSequence);
  const isBesideOwn = server?.live?.clusterId === entry.clusterId;
  const hidden = isBesideOwn ? [] : await hiddenMembership(host, repository, catalog, state);
  return { ...facts, obstacles: [...found, ...hidden] };
}

const opensHere = (opened: Repository | EnclaveManagerError, { openableBy }: CatalogEntry): boolean | null =>
  'keyring' in opened ? openableBy.includes(opened.keyring.nodeId) : opened.code === 'no-key' ? false : null;

/** A key that this host has not seen has to be in the live database, or named. */
async function newerKeyOf(
  { store, server, clusterKey }: PlanHost,
  keyring: OpenedKeyring,
  remembered: NodeState | undefined,
  planned: PlannedServer | null,
): Promise<UnknownCause | undefined> {
  const message = describeNewerKey(keyring, remembered, store.location);
  if (message === undefined || clusterKey === keyring.fingerprint) return undefined;
  const isLive = server !== undefined && planned?.live?.clusterId === keyring.clusterId;
  if (isLive && (await liveDatabaseVouches(server, keyring))) return undefined;
  return { code: 'usage', message, hint: `${nameTheKey('restore run --cluster-key FINGERPRINT')}.` };
}

/** Memberships that this host has seen, and that no backup carries either; a live database may still have them. */
async function hiddenMembership(
  { store, sealing, clusterKey }: PlanHost,
  repository: Repository | undefined,
  catalog: Catalog,
  state: NodeState | undefined,
): Promise<string[]> {
  if (repository === undefined || state?.clusterId !== repository.keyring.clusterId) return [];
  if (clusterKey === repository.keyring.fingerprint) return [];
  const isHidden = ({ keyring }: Pick<Repository, 'keyring'>) =>
    describeHiddenMembership(state, keyring, store.location);
  if (isHidden(repository) === undefined) return [];
  const described = isHidden({ keyring: await withCarriedMembership(store, repository.keyring, catalog, sealing) });
  return described === undefined ? [] : [`${described[0]!.toUpperCase()}${described.slice(1)}.`];
}

async function tryOpen(host: PlanHost): Promise<Repository | EnclaveManagerError> {
  if (host.repository !== undefined) return host.repository;
  try {
    return await openRepository(host.store, host.sealing);
  } catch (error) {
    if (isEnclaveManagerError(error, 'no-key') || isEnclaveManagerError(error, 'sealing-unavailable')) return error;
    throw error;
  }
}

/** Where nothing is left of what this host has seen, it was taken away: that is said rather than that nothing is there. */
async function findPlanned(
  host: PlanHost,
  repository: Repository | undefined,
  idOrLatest: BackupId | 'latest',
): ReturnType<typeof recallBackup> {
  try {
    return await recallBackup(host.store, repository?.keyring, host.catalogCache, idOrLatest);
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
  const cluster = exists && !(await hasImport({ server })) ? await readLiveCluster({ server }) : undefined;
  const live = exists
    ? { name: liveName, sizeBytes: await server.databaseSizeBytes(liveName), clusterId: cluster?.clusterId ?? null }
    : null;
  return {
    location,
    engine: `${engine} ${version}`,
    live,
    missingPrivileges: await server.missingPrivileges(),
    freeBytes: (await server.freeBytes()) ?? null,
  };
}

function obstacles(
  plan: Omit<RestorePlan, 'obstacles'>,
  /** Of those that are listed; where nothing is proved there may be less. */
  newestSequence: number,
): string[] {
  const found = plan.unknown === null ? [] : [unprovedObstacle(plan.unknown)];
  if (plan.clusterKey !== null && plan.openableHere === false)
    found.push('This host has no key for the epochs of this backup.');
  if (plan.schemaVersion > plan.programSchemaVersion) {
    found.push(
      `The backup has schema ${plan.schemaVersion}; this program knows up to ${plan.programSchemaVersion}. Use version ${plan.backup.productVersion} or newer.`,
    );
  }
  if (plan.highestSequenceSeen !== null && newestSequence < plan.highestSequenceSeen) {
    found.push(
      `This host has seen sequence ${plan.highestSequenceSeen}; the newest here is ${newestSequence}: newer backups were deleted or hidden.`,
    );
  }
  const live = plan.server?.live;
  if (live?.clusterId != null && live.clusterId !== plan.clusterId)
    found.push(`The database "${live.name}" belongs to another cluster, ${live.clusterId}.`);
  const free = plan.server?.freeBytes ?? Infinity;
  if (free < plan.neededBytes) found.push(`The server has ${free} bytes free and needs about ${plan.neededBytes}.`);
  return [...found, ...(plan.server?.missingPrivileges ?? [])];
}

function unprovedObstacle({ code, message, hint }: UnknownCause): string {
  const saysAll = `${message.charAt(0).toUpperCase()}${message.slice(1)}`;
  const noKey = code === 'no-key' ? `This host cannot open it: ${message}` : saysAll;
  const sentence =
    code === 'sealing-unavailable' ? `Whether this host opens it is ${unknownBecause({ message })}` : noKey;
  return `${sentence}. ${withoutPeriod(hint)}.`;
}
