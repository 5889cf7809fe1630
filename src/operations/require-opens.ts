import { isDeepStrictEqual } from 'node:util';
import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { KeyringDocument, OpenedKeyring } from '#keys/keyring.ts';
import { identityOf } from '#keys/keyring-entry.ts';
import { readAuditHead } from '#store/audit.ts';
import { readOwnCluster } from '#store/cluster.ts';
import { readKeyMark, readKeyringDocuments } from '#store/keyring-documents.ts';
import { appliedMigrations, checkMigrations } from '#store/migrate.ts';
import { listNodes, membershipsOfNodes } from '#store/nodes.ts';
import { listRestores, type RestoreRecord } from '#store/restores.ts';
import type { Queries } from '#store/tables.ts';

/** What a database must say when it begins its life. */
export interface ExpectedLife {
  readonly keyring: OpenedKeyring;
  readonly documents: readonly KeyringDocument[];
  readonly record: RestoreRecord;
}

/**
 * Reads what opening, serving and backing up read of the manager's own tables, by the same functions, before anybody depends
 * on it: rows come with a backup, and a backup may hold anything that somebody could write. Throws what these throw, and
 * `rows-differ` where they do not read what was just written.
 */
export async function requireOpens(queries: Queries, expected: ExpectedLife): Promise<void> {
  const { keyring, record } = expected;
  const row = await readOwnCluster(queries);
  const differs = (what: string): EnclaveManagerError =>
    new EnclaveManagerError('rows-differ', `the database that is made ready does not hold ${what}`);
  if (row?.clusterId !== keyring.clusterId || row.state !== 'ready') throw differs(`cluster ${keyring.clusterId}`);
  if (!isDeepStrictEqual(row.incarnation, record.incarnation)) throw differs('its own incarnation');
  checkMigrations(await appliedMigrations(queries), 'the database that is made ready');
  if (pathsAndBytes(await readKeyringDocuments(queries)) !== pathsAndBytes(expected.documents)) {
    throw differs('the keyring of the cluster');
  }
  await readKeyMark(queries);
  await membershipsOfNodes(queries);
  const active = (await listNodes(queries))
    .filter(({ status }) => status !== 'DEACTIVATED')
    .map(({ nodeId }) => nodeId);
  if (!isDeepStrictEqual(active.toSorted(), keyring.membership.nodes.map(({ nodeId }) => nodeId).toSorted())) {
    throw differs(`the nodes of membership ${keyring.membership.number}`);
  }
  const own = (await listRestores(queries)).find(({ restoreId }) => restoreId === record.restoreId);
  if (!isDeepStrictEqual(own?.incarnation, record.incarnation)) throw differs(`the record of ${record.restoreId}`);
  await readAuditHead(queries);
}

const pathsAndBytes = (documents: readonly KeyringDocument[]): string =>
  documents.map(identityOf).toSorted().join('\n');
