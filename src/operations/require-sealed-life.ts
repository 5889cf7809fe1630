import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { OpenedKeyring } from '#keys/keyring.ts';
import type { Database } from '#ports/database.ts';
import { appendAuditEvent } from '#store/audit.ts';
import { readCluster } from '#store/cluster.ts';
import { isLifeSealed, sealLife } from '#store/life-seal.ts';
import { requireNewestEpoch } from '#store/sealed-values.ts';
import type { Host, OperationContext } from './context.ts';
import { memoryOf } from './remember-node.ts';

/**
 * A database serves where its life began: in it, by this program, under keys that count today. Rows that came by SQL, as from an
 * export whose marker was taken out, have no proof of that; nor has a database from before the keys changed. Throws
 * `import-pending`.
 *
 * Releases before this one wrote no proof. A host that has served with one of them, and with none that writes it, vouches once.
 */
export async function requireSealedLife(
  context: OperationContext,
  { server, localState }: Pick<Host, 'server' | 'localState'>,
  database: Database,
  keyring: OpenedKeyring,
): Promise<void> {
  // First, because another process of this host may vouch meanwhile.
  const state = await localState.read();
  if (await database.transaction((queries) => isLifeSealed(database, queries, keyring))) return;
  const memory = memoryOf(keyring, state);
  const vouches = memory !== undefined && memory.sealsLives !== true;
  if (!vouches) {
    const where = `the database "${database.name}" at ${server.location}`;
    const isOlder = await database.transaction((queries) => isLifeSealed(database, queries, keyring, keyring.epochs));
    throw isOlder ? leftBehind(where) : unsealed(where);
  }
  await database.transaction(async (queries) => await vouch(context, database, queries, keyring));
}

async function vouch(
  context: OperationContext,
  database: Database,
  queries: Database['queries'],
  keyring: OpenedKeyring,
): Promise<void> {
  const cluster = await readCluster(queries);
  if (cluster === undefined || (await isLifeSealed(database, queries, keyring))) return;
  await requireNewestEpoch(queries, keyring);
  await sealLife(database, queries, keyring, cluster.incarnation, context.randomness);
  const actor = `node ${keyring.nodeId}`;
  const details = { incarnation: { ...cluster.incarnation } };
  const event = {
    type: 'ADMIN',
    action: 'database of an earlier release sealed',
    actor,
    subject: null,
    details,
  } as const;
  await appendAuditEvent(queries, event, context);
}

/** It is what it was, but for keys that somebody changed elsewhere. */
function leftBehind(where: string): EnclaveManagerError {
  return new EnclaveManagerError(
    'import-pending',
    `the keys of the cluster were changed without ${where}: with another database of this cluster, or since this one was put back as it was`,
    {
      hint: 'Find out which database is the live one. If it is another: stop this manager, or bring its data here: restore run latest. If it is this one: enclave-manager database accept-import --cluster-key FINGERPRINT, from the newest recovery line, then backup create --take-over. Secrets stay readable where nobody was evicted since.',
    },
  );
}

function unsealed(where: string): EnclaveManagerError {
  return new EnclaveManagerError(
    'import-pending',
    `nothing proves that ${where} became this cluster's there: its rows were copied or replayed by hand, or are from before the keys changed`,
    {
      hint: 'To serve it as it is, name the cluster by its key, from a recovery line: enclave-manager database accept-import --cluster-key FINGERPRINT. Or restore: restore run latest.',
    },
  );
}
