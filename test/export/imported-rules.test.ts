import { beforeEach, expect, it, onTestFinished } from 'vitest';
import { createBackup } from '#operations/create-backup.ts';
import { finishImport } from '#operations/finish-import.ts';
import type { ImportCheck } from '#operations/import-check.ts';
import { openCluster, openOrCreateCluster } from '#operations/open-cluster.ts';
import { listAuditEvents } from '#store/audit.ts';
import { makeCluster } from '../fixtures/cluster.ts';
import { exportedSql } from '../fixtures/exporting.ts';
import { psqlUnavailable } from '../fixtures/psql.ts';
import { replayWhole } from '../fixtures/replaying.ts';

beforeEach((context) => {
  if (psqlUnavailable !== undefined) context.skip(psqlUnavailable);
});

it('an import that grants something to others or sets something for its sessions serves when somebody takes that back, or accepts it', async () => {
  const { context, host, cluster } = await makeCluster();
  const { id } = await createBackup(context, cluster, { kind: 'manual' });
  const script = (await exportedSql(context, cluster, id)).sql.toString();
  const planted = (name: string): string => `${script}
CREATE ROLE intruder_${name};
GRANT INSERT ON ca_keys TO intruder_${name};
GRANT UPDATE (role) ON users TO PUBLIC;
GRANT CREATE ON SCHEMA public TO PUBLIC;
ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO intruder_${name};
DO $$ BEGIN EXECUTE format('GRANT ALL ON DATABASE %I TO intruder_${name}', current_database());
EXECUTE format('ALTER DATABASE %I SET session_replication_role TO replica', current_database()); END $$;
SET client_min_messages TO error;
CREATE PUBLICATION leak_${name} FOR ALL TABLES;
ALTER TABLE apps OWNER TO intruder_${name};
`;
  const replayed = await replayWhole(host, planted('one'));
  const refusal = await openOrCreateCluster(context, replayed).catch((error: unknown) => error);
  expect(refusal).toMatchObject({
    code: 'rows-differ',
    exitCode: 31,
    message: expect.stringContaining('and 5 more') as string,
    hint: expect.stringContaining('Take back what was granted') as string,
  });
  const shown: ImportCheck[] = [];
  await finishImport(context, replayed, {
    trust: { kind: 'accepted', clusterKey: cluster.keyring.fingerprint, older: false },
    confirm: async (_, check) => void shown.push(check),
  });
  const than = 'the database has more than an export makes: ';
  expect(shown[0]?.differences.map((text) => text.replace(than, '').replaceAll('intruder_one', 'x'))).toEqual([
    'everybody may CREATE on schema "public"',
    'everybody may UPDATE on column "role" of table "users"',
    'publication "leak_one"',
    'role "x" may CONNECT on the database',
    'role "x" may CREATE on the database',
    'role "x" may INSERT on table "ca_keys"',
    'role "x" may SELECT on what role "enclave_manager" will create',
    'role "x" may TEMPORARY on the database',
    'table "apps" belongs to role "x"',
    'the setting session_replication_role=replica',
  ]);
  const opened = await openCluster(context, replayed);
  onTestFinished(() => opened.database.close());
  const [event] = await listAuditEvents(opened.database.queries, { type: 'RESTORE' });
  expect(event?.details).toMatchObject({ differences: shown[0]?.differences });
});
