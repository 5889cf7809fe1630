import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { AuditHead, RecordedAuditEvent } from '#model/audit-event.ts';
import type { Database, DatabaseServer } from '#ports/database.ts';
import { listAuditEvents, verifyAuditChain, type AuditFilter } from '#store/audit.ts';
import { readLiveCluster } from './read-live-cluster.ts';

/** Events of the live database, newest first. Needs no key. `not-found` where there is no cluster. */
export async function readAuditLog(server: DatabaseServer, filter: AuditFilter): Promise<RecordedAuditEvent[]> {
  return await withLiveDatabase(server, (database) => listAuditEvents(database.queries, filter));
}

/** Reads the whole hash chain and returns its head; `damaged` at the first event that is not as it was recorded. */
export async function verifyAuditLog(server: DatabaseServer): Promise<AuditHead> {
  return await withLiveDatabase(server, (database) => verifyAuditChain(database.queries));
}

async function withLiveDatabase<T>(server: DatabaseServer, work: (database: Database) => Promise<T>): Promise<T> {
  if ((await readLiveCluster({ server })) === undefined) {
    throw new EnclaveManagerError(
      'not-found',
      `the database "${server.liveName}" at ${server.location} holds no cluster`,
      {
        hint: 'Create one with serve, or restore one with restore run latest.',
      },
    );
  }
  const database = server.open(server.liveName, { connections: 1 });
  try {
    return await work(database);
  } finally {
    await database.close();
  }
}
