/** How commands and `serve` come to the database server of the configuration; loaded by those that need one. */
import { join } from 'node:path';
import type { Configuration } from '#config/configuration.ts';
import { defaultDatabaseName } from '#config/database-url.ts';
import { useEmbedded, type EmbeddedUse } from '#adapters/embedded-postgresql/use-embedded.ts';
import { parseDatabaseUrl } from '#postgresql-protocol/connection-options.ts';
import { findServer } from '#postgresql-protocol/find-server.ts';
import { isCockroachdb } from '#adapters/cockroachdb/check-version.ts';
import { connectCockroachdb } from '#adapters/cockroachdb/cockroachdb-server.ts';
import { connectPostgresql, type ConnectOptions } from '#adapters/postgresql/postgresql-server.ts';
import { systemClock } from '#adapters/system/clock.ts';
import { beginCold } from '#operations/begin-cold.ts';
import type { DatabaseServer } from '#ports/database.ts';
import type { OwnerLock } from '#ports/owner-lock.ts';
import type { ServedDatabase } from '#server/serve.ts';

/** Other commands that use our embedded server may end what they do, but not keep `serve` from stopping. */
const serveDrainMs = 2_000;

/** For tests: PostgreSQL swaps in one step, and what an engine that cannot is brought to is tried on it. */
export type Swap = Exclude<ConnectOptions['swap'], undefined>;

/** The running manager's embedded server, else one started for this command and stopped after it, or the external one. */
export async function openForCommand(
  configuration: Configuration,
  choice: Pick<EmbeddedChoice, 'create' | 'acquire' | 'swap'>,
): Promise<DatabaseServer> {
  const { database } = configuration;
  if (database.kind === 'external') return await connectExternal(database, choice.swap);
  const { server } = await openEmbedded(configuration, { attach: true, ...choice });
  return server;
}

/** Which engine it is, the server says. */
async function connectExternal(
  { address, password }: Extract<Configuration['database'], { kind: 'external' }>,
  swap: Swap,
): Promise<DatabaseServer> {
  const options = parseDatabaseUrl(address.url);
  const server = { ...options, password: password ?? options.password };
  const found = await findServer(server);
  if (isCockroachdb(found)) return await connectCockroachdb({ server, found });
  return await connectPostgresql({ server, found, swap });
}

interface EmbeddedChoice {
  readonly attach: boolean;
  readonly create: boolean;
  readonly acquire: () => OwnerLock;
  readonly drainMs?: number;
  readonly swap: Swap;
}

/** The embedded server of the data directory, with the connection to it; closing the one closes the other. */
async function openEmbedded(
  { dataDirectory }: Configuration,
  choice: EmbeddedChoice,
): Promise<{ server: DatabaseServer; use: EmbeddedUse }> {
  const use = await useEmbedded({ dataDirectory, liveName: defaultDatabaseName, clock: systemClock, ...choice });
  const leave = async (): Promise<void> =>
    await use.close(choice.drainMs === undefined ? {} : { drainMs: choice.drainMs });
  try {
    const storagePath = join(dataDirectory, 'postgres');
    const server = await connectPostgresql({
      server: use.connection,
      location: use.location,
      storagePath,
      swap: choice.swap,
    });
    if (use.owned) await beginCold(server);
    const close = async (): Promise<void> => {
      await server.close();
      await leave();
    };
    return { server: { ...server, close }, use };
  } catch (error) {
    await leave();
    throw error;
  }
}

/** The server that `serve` runs, or the external one. */
export async function openForServing(
  configuration: Configuration,
  lock: OwnerLock,
  swap: Swap,
): Promise<ServedDatabase> {
  if (configuration.database.kind === 'external') {
    const server = await connectExternal(configuration.database, swap);
    return { server, exited: undefined, close: () => server.close() };
  }
  const { server, use } = await openEmbedded(configuration, {
    attach: false,
    create: true,
    acquire: () => lock,
    drainMs: serveDrainMs,
    swap,
  });
  return { server, exited: use.exited, close: () => server.close() };
}
