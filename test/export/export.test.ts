import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { createBackup } from '#operations/create-backup.ts';
import { makeCluster } from '../fixtures/cluster.ts';
import { dumpDatabase } from '../fixtures/dump.ts';
import { exportedSql } from '../fixtures/exporting.ts';
import { freshDatabaseName, startTestServer } from '../fixtures/postgresql.ts';
import { psql, psqlUnavailable } from '../fixtures/psql.ts';
import { addAuditEvents, addSettings, addUsers } from '../fixtures/rows.ts';

beforeEach((context) => {
  if (psqlUnavailable !== undefined) context.skip(psqlUnavailable);
});

describe('an export', () => {
  it('replays with psql into the embedded server, row for row', async () => {
    const { context, host, cluster } = await makeCluster();
    await addUsers(cluster.database, 700);
    await addSettings(cluster.database, 40);
    await addAuditEvents(cluster.database, 50);
    const wanted = await dumpDatabase(cluster.database);
    const { id } = await createBackup(context, cluster, { kind: 'manual' });
    const { sql, exported } = await exportedSql(context, cluster, id);
    expect(exported.bytes).toBe(sql.length);

    const { connection } = await startTestServer();
    const name = freshDatabaseName();
    await host.server.createDatabase(name);
    expect(await psql({ connection, database: name }, sql)).toEqual({ exitCode: 0, stderr: '' });
    const loaded = host.server.open(name);
    onTestFinished(() => loaded.close());
    expect(await dumpDatabase(loaded)).toEqual(wanted);
  });
});
