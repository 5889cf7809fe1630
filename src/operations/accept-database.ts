import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { openKeyring, requireMember, type OpenedKeyring } from '#keys/keyring.ts';
import { distinctDocuments } from '#keys/keyring-entry.ts';
import type { Incarnation } from '#model/backup.ts';
import type { Database } from '#ports/database.ts';
import type { NodeState } from '#ports/local-state.ts';
import { appendAuditEvent } from '#store/audit.ts';
import { beginClusterLife, readCluster } from '#store/cluster.ts';
import { resetEphemeralTables } from '#store/ephemeral-tables.ts';
import { readKeyringDocuments, replaceKeyringDocuments } from '#store/keyring-documents.ts';
import type { Lease } from '#store/held-lease.ts';
import { requireLease } from '#store/lease-rows.ts';
import { acquireLease } from '#store/leases.ts';
import { isLifeSealed, sealLife } from '#store/life-seal.ts';
import { migrate } from '#store/migrate.ts';
import { loadMigrations } from '#store/migrations.ts';
import { rewriteNodes } from '#store/nodes.ts';
import { carryRestore } from '#store/restores.ts';
import { resealColumns } from '#store/sealed-values.ts';
import type { Queries } from '#store/tables.ts';
import { filledRepository } from './adopt-repository.ts';
import { nextIncarnation, noteLeft } from './begin-new-life.ts';
import { operationLease, type Host, type OperationContext } from './context.ts';
import { requireCurrentKeys } from './current-keys.ts';
import { holdToMemory } from './hold-to-memory.ts';
import { readKeyringDocuments as readRepositoryDocuments } from './open-repository.ts';
import { refuseLaterKeys } from './later-keys.ts';
import { readCatalog } from './read-catalog.ts';
import { readLiveCluster } from './read-live-cluster.ts';
import { keyringPastMemory } from './past-memory.ts';
import { givenUp, memoryAgainst, rememberNode } from './remember-node.ts';
import { requireTables } from './require-schema.ts';

/** A database of this cluster that nothing proves to have become so where it lies, and that carries no export's marker. */
export interface UnprovedDatabase {
  readonly keyring: OpenedKeyring;
  /** What it has besides rows that a new one has not, each a sentence. */
  readonly differences: readonly string[];
  /** Where its cluster key is older than the newest one this host has seen: that one. */
  readonly clusterKeyGivenUp?: string;
}

export interface AcceptedDatabase {
  readonly clusterKey: string;
  readonly incarnation: Incarnation;
  readonly differences: readonly string[];
}

export interface AcceptOptions {
  /** From a recovery line. */
  readonly clusterKey: string;
  /** A cluster key older than the newest that this host has seen is meant. */
  readonly older?: boolean;
  /** Asked before anything but the schema is written; throws to stop. */
  readonly confirm: (unproved: UnprovedDatabase) => Promise<void>;
}

export const notComparedWithout = 'nothing in it says of which backup it is';

/**
 * Makes such a database serve, because a person says so: its rows begin a new life, in which sealed values of the current epoch
 * alone count. `undefined` where there is none, or one that needs nobody's word.
 */
export async function acceptDatabase(
  context: OperationContext,
  host: Host,
  options: AcceptOptions,
): Promise<AcceptedDatabase | undefined> {
  const remembered = await host.localState.read();
  const row = await readLiveCluster(host);
  if (row === undefined) return undefined;
  const database = host.server.open(host.server.liveName);
  try {
    const keyring = await openNamed(host, database, options, remembered);
    if (keyring.clusterId !== row.clusterId)
      throw new EnclaveManagerError(
        'rows-differ',
        `the rows are of cluster ${row.clusterId}, not ${keyring.clusterId}`,
      );
    const lease = await acquireLease(database, { ...operationLease, holder: context.holder }, context);
    const held = { ...context, signal: AbortSignal.any([context.signal, lease.lost]) };
    try {
      // Nobody enrols, evicts or rotates any more.
      const current = await openNamed(host, database, options, remembered);
      return await acceptUnderLease(held, host, database, lease, { keyring: current, remembered }, options);
    } finally {
      await lease.release();
    }
  } finally {
    await database.close();
  }
}

/** Held to what this host remembers, but for what the person who names the key decides. */
async function openNamed(
  { store, sealing }: Host,
  database: Database,
  { clusterKey, older = false }: AcceptOptions,
  remembered: NodeState | undefined,
): Promise<OpenedKeyring> {
  const filled = await filledRepository(store);
  const inRepository = filled === undefined ? [] : await readRepositoryDocuments(filled);
  const documents = distinctDocuments([...(await readKeyringDocuments(database.queries)), ...inRepository]);
  const keyring = await openKeyring(documents, sealing, { clusterKey });
  requireMember(keyring);
  if (keyring.fingerprint !== clusterKey) {
    throw new EnclaveManagerError(
      'forged',
      `the cluster key of the database is ${keyring.fingerprint}, not ${clusterKey}`,
      { hint: 'Compare with the newest recovery line; every backup prints one.' },
    );
  }
  holdToMemory(remembered, keyring, `the database "${database.name}"`, { key: !older, membership: false });
  return keyring;
}

async function acceptUnderLease(
  context: OperationContext,
  host: Host,
  database: Database,
  lease: Lease,
  { keyring, remembered }: { readonly keyring: OpenedKeyring; readonly remembered: NodeState | undefined },
  { confirm }: AcceptOptions,
): Promise<AcceptedDatabase | undefined> {
  await migrate(database);
  if (await database.transaction((queries) => isLifeSealed(database, queries, keyring))) return undefined;
  const instead = 'replay an export that nobody changed, or restore: restore run latest';
  const expected = { version: loadMigrations().length, marker: false, instead };
  const differences = await requireTables(context, host, database, expected);
  const against = memoryAgainst(keyring, remembered);
  await confirm({ keyring, differences, ...givenUp(against) });
  context.signal.throwIfAborted();
  await requireCurrentKeys(keyring, { database, store: host.store });
  const seen = await listedLives(host, keyring);
  const current = await keyringPastMemory(context, host, keyring);
  const incarnation = await database.transaction(async (queries) => {
    await requireLease(queries, lease.token);
    return await begin(context, database, queries, current, { differences, seen, against });
  });
  await rememberNode({ keyring: current, localState: host.localState }, host.sealing, { against });
  return { clusterKey: keyring.fingerprint, incarnation, differences };
}

/** It is the live one by a person's word: no life that has backed up since the rows were copied is newer. */
async function listedLives({ store }: Host, keyring: OpenedKeyring): Promise<Incarnation[]> {
  const filled = await filledRepository(store);
  if (filled === undefined) return [];
  const catalog = await readCatalog(filled, keyring);
  await refuseLaterKeys(filled, keyring, catalog);
  return catalog.backups.map(({ entry }) => entry.incarnation);
}

interface Begun {
  readonly differences: readonly string[];
  readonly seen: readonly Incarnation[];
  /** What this host remembers of a newer key, which gives way. */
  readonly against: NodeState | undefined;
}

/**
 * As after an import, but for what only a backup knows: secrets are sealed anew only where this life of the database began
 * under earlier keys that no evicted host knows, and there is no record of a restore.
 */
async function begin(
  context: OperationContext,
  database: Database,
  queries: Queries,
  keyring: OpenedKeyring,
  { differences, seen, against }: Begun,
): Promise<Incarnation> {
  const cluster = await readCluster(queries);
  if (cluster?.clusterId !== keyring.clusterId)
    throw new EnclaveManagerError('lease-held', `the rows of "${database.name}" were replaced meanwhile`);
  const incarnation = nextIncarnation([cluster.incarnation, ...seen], context.randomness.bytes(8));
  // First: the seal is in one of these.
  const accepted = await epochsOfItsLife(database, queries, keyring);
  if (accepted.length > 0) await carryRestore(queries, cluster.incarnation, incarnation);
  await resetEphemeralTables(queries);
  const options = { accepted, refused: 'leave' } as const;
  const { left } = await resealColumns(queries, keyring, options, context.randomness);
  noteLeft(context, left);
  await replaceKeyringDocuments(queries, keyring.documents);
  await rewriteNodes(queries, keyring.membership, context);
  await beginClusterLife(queries, { ...cluster, incarnation });
  await sealLife(database, queries, keyring, incarnation, context.randomness);
  const actor = `node ${keyring.nodeId}`;
  const check = { notCompared: notComparedWithout, differences: [...differences], acceptedFor: keyring.fingerprint };
  const details = { incarnation: { ...incarnation }, ...check, ...givenUp(against), refusedSecrets: left.length };
  const event = { type: 'RESTORE', action: 'database accepted', actor, subject: keyring.clusterId, details } as const;
  await appendAuditEvent(queries, event, context);
  return incarnation;
}

/** Where the keys were changed with another database, and nobody was evicted, its secrets are as good as its seal. */
async function epochsOfItsLife(
  database: Database,
  queries: Queries,
  keyring: OpenedKeyring,
): Promise<readonly number[]> {
  const earlier = keyring.epochsSinceEviction;
  return (await isLifeSealed(database, queries, keyring, earlier)) ? earlier : [];
}
