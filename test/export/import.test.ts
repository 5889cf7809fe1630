import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { createBackup } from '#operations/create-backup.ts';
import { findImport } from '#operations/find-import.ts';
import { finishImport } from '#operations/finish-import.ts';
import { openCluster, openOrCreateCluster } from '#operations/open-cluster.ts';
import { listAuditEvents, verifyAuditChain } from '#store/audit.ts';
import { readCluster } from '#store/cluster.ts';
import { listRestores } from '#store/restores.ts';
import { makeCluster } from '../fixtures/cluster.ts';
import { dumpDatabase } from '../fixtures/dump.ts';
import { exportedSql } from '../fixtures/exporting.ts';
import { makeContext, type TestHost } from '../fixtures/host.ts';
import { psqlUnavailable } from '../fixtures/psql.ts';
import { replay, replayWhole } from '../fixtures/replaying.ts';
import { addAuditEvents, addUsers } from '../fixtures/rows.ts';

beforeEach((context) => {
  if (psqlUnavailable !== undefined) context.skip(psqlUnavailable);
});

async function makeExport() {
  const made = await makeCluster();
  await addUsers(made.cluster.database, 30);
  await addAuditEvents(made.cluster.database, 5);
  const wanted = await dumpDatabase(made.cluster.database);
  const backup = await createBackup(made.context, made.cluster, { kind: 'manual' });
  const { sql } = await exportedSql(made.context, made.cluster, backup.id);
  return { ...made, wanted, backup, sql: sql.toString() };
}

async function serveImport(host: TestHost) {
  const { cluster, outcome } = await openOrCreateCluster(makeContext(), host);
  onTestFinished(() => cluster.database.close());
  return { cluster, outcome };
}

describe('a replayed export', () => {
  it('is compared, begins a new life, and serves', async () => {
    const { host, wanted, backup, sql } = await makeExport();
    const replayed = await replayWhole(host, sql);
    expect(await findImport(replayed.server)).toMatchObject({ state: 'complete', summary: { id: backup.id } });
    await expect(openCluster(makeContext(), replayed, { finishImport: false })).rejects.toMatchObject({
      code: 'import-pending',
      exitCode: 12,
    });

    const { cluster, outcome } = await serveImport(replayed);
    expect(outcome).toBe('opened');
    expect(await findImport(replayed.server)).toBeUndefined();
    expect(await dumpDatabase(cluster.database)).toEqual(wanted);
    const { queries } = cluster.database;
    expect((await readCluster(queries))?.incarnation).toMatchObject({ number: 2 });
    expect(await listRestores(queries)).toMatchObject([
      { backupId: backup.id, state: 'complete', beforeDatabase: null },
    ]);
    const [event] = await listAuditEvents(queries, { type: 'RESTORE' });
    expect(event).toMatchObject({
      action: 'imported',
      subject: backup.id,
      details: { differences: [], notCompared: null },
    });
    await verifyAuditChain(queries);
    await expect(createBackup(makeContext(), cluster, { kind: 'manual' })).resolves.toMatchObject({ sequence: 2 });
  });

  it('does not serve while its last statement has not run', async () => {
    const { host, sql } = await makeExport();
    const { host: replayed } = await replay(host, sql.slice(0, sql.lastIndexOf('UPDATE')));
    await expect(serveImport(replayed)).rejects.toMatchObject({
      code: 'import-pending',
      message: expect.stringContaining('is incomplete') as string,
    });
    await expect(
      finishImport(makeContext(), replayed, { trust: { kind: 'accepted', clusterKey: 'sha256:x', older: true } }),
    ).rejects.toMatchObject({ code: 'import-pending' });
  });

  it('does not serve with an edited row', async () => {
    const { host, sql } = await makeExport();
    const replayed = await replayWhole(host, sql.replace('User 17', 'User 71'));
    await expect(serveImport(replayed)).rejects.toMatchObject({
      code: 'rows-differ',
      message: expect.stringContaining('table "users" has other rows than the backup') as string,
    });
    expect(await findImport(replayed.server)).toMatchObject({ state: 'complete' });
  });
});
