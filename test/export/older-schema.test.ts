import { beforeEach, expect, it, onTestFinished } from 'vitest';
import { backUpUnderLease } from '#operations/create-backup.ts';
import { operationLease } from '#operations/context.ts';
import { finishImport } from '#operations/finish-import.ts';
import { openCluster } from '#operations/open-cluster.ts';
import { acquireLease } from '#store/leases.ts';
import { schemaVersion } from '#store/migrate.ts';
import { loadMigrations } from '#store/migrations.ts';
import { makeCluster } from '../fixtures/cluster.ts';
import { dumpDatabase } from '../fixtures/dump.ts';
import { exportedSql } from '../fixtures/exporting.ts';
import { abortedContext, makeContext } from '../fixtures/host.ts';
import { psqlUnavailable } from '../fixtures/psql.ts';
import { replayWhole } from '../fixtures/replaying.ts';
import { addUsers } from '../fixtures/rows.ts';

beforeEach((context) => {
  if (psqlUnavailable !== undefined) context.skip(psqlUnavailable);
});

it('an export of an older schema is compared as it is, brought forward, and goes on after a crash in between', async () => {
  const { context, host, cluster } = await makeCluster();
  const { database } = cluster;
  await addUsers(database, 7);
  const wanted = await dumpDatabase(database);
  await database.runScript(`DROP TABLE operation_runs; DELETE FROM schema_migrations WHERE version > 4; DROP TABLE node_proofs; DROP TABLE life_seals;
    CREATE TABLE backup_runs (run_id UUID PRIMARY KEY)`);
  const lease = await acquireLease(database, { ...operationLease, holder: 'test' }, context);
  const { id } = await backUpUnderLease(context, cluster, { kind: 'manual', lease });
  await lease.release();
  const { sql } = await exportedSql(context, cluster, id);
  expect(sql.includes('operation_runs')).toBe(false);
  const replayed = await replayWhole(host, sql);
  const stopped = abortedContext({ point: 'import.migrated' });
  const compared = { trust: { kind: 'compared' as const } };
  await expect(finishImport(stopped.context, replayed, compared)).rejects.toBe(stopped.reason);
  expect(await finishImport(makeContext(), replayed, compared)).toMatchObject({ backupId: id });
  const live = await openCluster(makeContext(), replayed);
  onTestFinished(() => live.database.close());
  expect(await schemaVersion(live.database)).toBe(loadMigrations().length);
  expect(await dumpDatabase(live.database)).toEqual(wanted);
});
