import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { Incarnation } from '#model/backup.ts';
import type { DatabaseServer } from '#ports/database.ts';
import { schemaVersion, type MigrateResult } from '#store/migrate.ts';
import { loadMigrations } from '#store/migrations.ts';
import { liveServers } from '#store/servers.ts';
import { leftDatabases, type LeftDatabase } from './clean-up-restore.ts';
import type { OperationContext } from './context.ts';
import { findImport, type FoundImport } from './find-import.ts';
import { finishSwap } from './finish-swap.ts';
import { readSwapState, type UnfinishedSwap } from './find-unfinished-swap.ts';
import { migrateUnderLease } from './migrate-under-lease.ts';
import { readLiveCluster } from './read-live-cluster.ts';

export interface DatabaseStatus {
  readonly location: string;
  readonly engine: string;
  readonly name: string;
  /** Whether there is a database of that name. */
  readonly exists: boolean;
  readonly sizeBytes: number;
  /** 0 where it is empty. */
  readonly schemaVersion: number;
  readonly programSchemaVersion: number;
  /** `null` where it holds none. */
  readonly cluster: { readonly clusterId: string; readonly state: string; readonly incarnation: Incarnation } | null;
  /** An export that was replayed into it and does not serve yet. What it says of its backup is not proved. */
  readonly import: {
    readonly state: FoundImport['state'];
    readonly backupId: string | null;
    readonly sequence: number | null;
    readonly startedAt: string | null;
    readonly clusterId: string | null;
  } | null;
  /** Managers that run on it now. */
  readonly servers: readonly {
    readonly host: string;
    readonly processId: number;
    readonly productVersion: string;
    readonly startedAt: string;
  }[];
  readonly missingPrivileges: readonly string[];
  readonly leftDatabases: readonly LeftDatabase[];
  /** A swap that stopped between its two renames; the next command that needs the live database ends it. */
  readonly unfinishedSwap: Omit<UnfinishedSwap, 'outcome'> | null;
}

/** Looks at the database without any key and changes nothing, whatever schema it has. */
export async function readDatabaseStatus(server: DatabaseServer): Promise<DatabaseStatus> {
  const { location, engine, version, liveName } = server;
  const exists = (await server.databaseIdentity(liveName)) !== undefined;
  const imported = await findImport(server);
  const cluster = exists && imported === undefined ? await readLiveCluster({ server }) : undefined;
  const inside = exists ? await lookInside(server) : { schemaVersion: 0, servers: [] };
  return {
    location,
    engine: `${engine} ${version}`,
    name: liveName,
    exists,
    sizeBytes: await server.databaseSizeBytes(liveName),
    programSchemaVersion: loadMigrations().length,
    cluster:
      cluster === undefined
        ? null
        : { clusterId: cluster.clusterId, state: cluster.state, incarnation: cluster.incarnation },
    import: imported === undefined ? null : describeImport(imported),
    ...inside,
    missingPrivileges: await server.missingPrivileges(),
    leftDatabases: await leftDatabases(server),
    unfinishedSwap: await findUnfinished(server),
  };
}

async function findUnfinished(server: DatabaseServer): Promise<DatabaseStatus['unfinishedSwap']> {
  const state = await readSwapState(server);
  if (state.kind !== 'unfinished') return null;
  const { restoreId, staging, before } = state.swap;
  return { restoreId, staging, before };
}

function describeImport({ state, summary }: FoundImport): DatabaseStatus['import'] {
  return {
    state,
    backupId: summary?.id ?? null,
    sequence: summary?.sequence ?? null,
    startedAt: summary?.startedAt ?? null,
    clusterId: summary?.clusterId ?? null,
  };
}

async function lookInside(server: DatabaseServer): Promise<Pick<DatabaseStatus, 'schemaVersion' | 'servers'>> {
  const database = server.open(server.liveName, { connections: 1 });
  try {
    const known = (await database.tableNames()).includes('servers');
    const servers = known ? await liveServers(database.queries) : [];
    return {
      schemaVersion: await schemaVersion(database),
      servers: servers.map(({ host, processId, productVersion, startedAt }) => ({
        host,
        processId,
        productVersion,
        startedAt: startedAt.toISOString(),
      })),
    };
  } finally {
    await database.close();
  }
}

/**
 * Brings the schema of the live database forward, under the lease, so that no backup or restore sees it half done.
 * `not-found` where there is nothing to bring forward.
 */
export async function migrateDatabase(context: OperationContext, server: DatabaseServer): Promise<MigrateResult> {
  await finishSwap(context, server);
  if ((await readLiveCluster({ server })) === undefined) {
    throw new EnclaveManagerError(
      'not-found',
      `the database "${server.liveName}" at ${server.location} holds no cluster to bring forward`,
      {
        hint: 'Create one with serve, or restore one with restore run latest.',
      },
    );
  }
  const database = server.open(server.liveName);
  try {
    return await migrateUnderLease(context, database);
  } finally {
    await database.close();
  }
}
