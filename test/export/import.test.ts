import { createHash } from 'node:crypto';
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { sql } from 'kysely';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { systemRandomness } from '#adapters/system/randomness.ts';
import { sealColumn } from '#keys/sealed-column.ts';
import type { BackupId } from '#model/identifiers.ts';
import { cleanUpRestore, leftDatabases } from '#operations/clean-up-restore.ts';
import type { Cluster } from '#operations/context.ts';
import { evictNode } from '#operations/evict-node.ts';
import { planEviction } from '#operations/plan-key-change.ts';
import { compareImport } from '#operations/compare-import.ts';
import { createBackup } from '#operations/create-backup.ts';
import { findImport } from '#operations/find-import.ts';
import { finishImport } from '#operations/finish-import.ts';
import { openCluster, openOrCreateCluster } from '#operations/open-cluster.ts';
import { planRestore } from '#operations/plan-restore.ts';
import { readManifest } from '#operations/read-manifest.ts';
import { restore } from '#operations/restore.ts';
import { listAuditEvents, verifyAuditChain } from '#store/audit.ts';
import { readCluster } from '#store/cluster.ts';
import { readImportMarker } from '#store/import-marker.ts';
import { listNodes } from '#store/nodes.ts';
import { readSetting, saveSetting } from '#store/settings.ts';
import { listRestores } from '#store/restores.ts';
import { makeCluster } from '../fixtures/cluster.ts';
import { dumpDatabase } from '../fixtures/dump.ts';
import { exportedSql } from '../fixtures/exporting.ts';
import { abortedContext, makeContext, temporaryDirectory, type TestHost } from '../fixtures/host.ts';
import { enrolHosts } from '../fixtures/hosts.ts';
import { psqlUnavailable } from '../fixtures/psql.ts';
import { replay, replayWhole } from '../fixtures/replaying.ts';
import { confirmed, reopen } from '../fixtures/restoring.ts';
import { addAuditEvents, addUsers } from '../fixtures/rows.ts';
import { tellingWorkers } from '../fixtures/workers.ts';

beforeEach((context) => {
  if (psqlUnavailable !== undefined) context.skip(psqlUnavailable);
});

const compared = { trust: { kind: 'compared' as const } };
const accepted = (clusterKey: string, older = false) => ({ trust: { kind: 'accepted' as const, clusterKey, older } });

async function makeExport() {
  const made = await makeCluster();
  await addUsers(made.cluster.database, 30);
  await addAuditEvents(made.cluster.database, 5);
  const wanted = await dumpDatabase(made.cluster.database);
  const backup = await createBackup(made.context, made.cluster, { kind: 'manual' });
  return { ...made, wanted, backup, script: await scriptOf(made.cluster, backup.id) };
}

let shared: ReturnType<typeof makeExport> | undefined;

/** For tests that only read it; its own database is closed after the first of them. */
function sharedExport(): ReturnType<typeof makeExport> {
  return (shared ??= makeExport());
}

async function scriptOf(cluster: Cluster, id: BackupId): Promise<string> {
  return (await exportedSql(makeContext(), cluster, id)).sql.toString();
}

async function serveImport(host: TestHost, context = makeContext()) {
  const { cluster, outcome } = await openOrCreateCluster(context, host);
  onTestFinished(() => cluster.database.close());
  return { cluster, outcome };
}

/** Rows that nobody may have changed: what an import that was refused must leave. */
async function written({ server }: TestHost): Promise<unknown> {
  const database = server.open(server.liveName);
  const { rows } =
    await sql`SELECT (SELECT count(*) FROM audit_events) AS events, (SELECT count(*) FROM restores) AS restores,
    (SELECT max(counter) FROM leases) AS leases, (SELECT count(*) FROM import_marker WHERE sealed_check IS NOT NULL) AS checks,
    (SELECT incarnation_number FROM cluster) AS incarnation`.execute(database.queries);
  await database.close();
  return rows[0];
}

/** The lines of a script that carry the manifest. */
const markerLines = (script: string): string => /INSERT INTO import_marker [^;]*;\n/.exec(script)![0];

describe('a replayed export', () => {
  it('is compared, begins a new life, and serves', async () => {
    const { host, wanted, backup, script } = await makeExport();
    const replayed = await replayWhole(host, script);
    expect(await findImport(replayed.server)).toMatchObject({ state: 'complete', summary: { id: backup.id } });
    await expect(openCluster(makeContext(), replayed, { finishImport: false })).rejects.toMatchObject({
      code: 'import-pending',
      exitCode: 12,
    });

    const noting = makeContext();
    const { cluster, outcome } = await serveImport(replayed, noting);
    expect(outcome).toBe('opened');
    expect(noting.notes).toContain(
      `the replayed export of backup ${backup.id} was compared with its backup, and serves from now on`,
    );
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
      details: { differences: [], notCompared: null, acceptedFor: null },
    });
    await verifyAuditChain(queries);
    await expect(createBackup(makeContext(), cluster, { kind: 'manual' })).resolves.toMatchObject({ sequence: 2 });
  });

  it('is compared under a key that whoever wrote its rows cannot know', async () => {
    const { context, host, cluster, backup } = await makeExport();
    const manifest = await readManifest(host.store, cluster.keyring, backup.id);
    const repository = { store: host.store, keyring: cluster.keyring };
    const keys: string[][] = [];
    for (let run = 0; run < 2; run += 1) {
      const seen: (Uint8Array | undefined)[] = [];
      const startWorker = tellingWorkers((request) =>
        seen.push('digestKey' in request ? request.digestKey : undefined),
      );
      expect(await compareImport({ ...context, startWorker }, repository, manifest, cluster.database)).toEqual([]);
      expect(seen.length).toBeGreaterThanOrEqual(2 * manifest.tables.length);
      keys.push([...new Set(seen.map((key) => Buffer.from(key ?? []).toString('hex')))]);
    }
    expect(keys.map((used) => used.length)).toEqual([1, 1]);
    expect(keys.flat()).toEqual([expect.stringMatching(/^[0-9a-f]{64}$/), expect.stringMatching(/^[0-9a-f]{64}$/)]);
    expect(keys[0]).not.toEqual(keys[1]);
  });

  it('that was cut off at any line does not serve, and says that it is incomplete', async () => {
    const { host, cluster, script } = await sharedExport();
    const lines = script.split('\n');
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 12, max: lines.length - 3 }), async (kept) => {
        const { host: replayed } = await replay(host, `${lines.slice(0, kept).join('\n')}\n`);
        const found = await findImport(replayed.server);
        expect(['begun', undefined]).toContain(found?.state);
        for (const options of [compared, accepted(cluster.keyring.fingerprint, true)]) {
          const outcome = await finishImport(makeContext(), replayed, options).catch((error: unknown) => error);
          const refusal = { code: 'import-pending', message: expect.stringContaining('incomplete') as string };
          expect([outcome]).toMatchObject([found && refusal]);
        }
        await expect(serveImport(replayed)).rejects.toMatchObject({ exitCode: 12 });
        await replayed.server.dropDatabase(replayed.server.liveName);
      }),
      { numRuns: 8, examples: [[12], [lines.length - 3]] },
    );
  });

  it('that went on after an error does not serve', async () => {
    const { host, script } = await sharedExport();
    const broken = script.replace('CREATE TABLE tasks (', 'CREATE TABLE tasks (oops');
    const { host: replayed, result } = await replay(host, broken, { stopOnError: false });
    expect(result).toMatchObject({ exitCode: 0, stderr: expect.stringContaining('ERROR') as string });
    await expect(serveImport(replayed)).rejects.toMatchObject({
      code: 'rows-differ',
      message: expect.stringMatching(/it lacks .* tasks /) as string,
    });
  });

  const edits: readonly (readonly [string, (script: string) => string, object])[] = [
    ['an edited row', (script) => script.replace("'User 17'", "'User 71'"), differs('table "users" has other rows')],
    [
      'a deleted row',
      (script) => script.replace(/\n\([^\n]*'User 17'[^\n]*\),/, ''),
      differs('table "users" has 29 rows, the backup 30'),
    ],
    [
      'an added row',
      (script) =>
        script.replace(
          'UPDATE import_marker',
          `INSERT INTO settings (name, value, updated_at) VALUES ('mine', '1', now());\nUPDATE import_marker`,
        ),
      differs('table "settings" has 1 rows, the backup 0'),
    ],
    [
      'a raised role',
      (script) => script.replace("'reader', 'approved'", "'manager', 'approved'"),
      differs('table "users" has other rows'),
    ],
    [
      'a migration that is none',
      (script) => script.replace(/\(4, 'audit-log', '..../, "(4, 'audit-log', '0000"),
      differs('schema_migrations'),
    ],
    [
      'a column more',
      (script) => script.replace('UPDATE import_marker', 'ALTER TABLE users ADD COLUMN x TEXT;\nUPDATE import_marker'),
      differs('has column users'),
    ],
    ['no index', (script) => script.replace(/CREATE INDEX users_by_approver[^;]*;\n/, ''), differs('lacks index')],
    [
      'no foreign key',
      (script) => script.replace(/ALTER TABLE apps ADD CONSTRAINT[^;]*;\n/, ''),
      differs('lacks constraint'),
    ],
    [
      'a rule',
      (script) =>
        script.replace(
          'UPDATE import_marker',
          'CREATE RULE evil AS ON UPDATE TO users DO INSTEAD NOTHING;\nUPDATE import_marker',
        ),
      differs('has rule'),
    ],
    [
      'a rule of the marker, which would act once the rows are compared',
      (script) =>
        `${script}\nCREATE RULE evil AS ON UPDATE TO import_marker DO ALSO UPDATE users SET role = 'manager';\n`,
      differs('has rule O CREATE RULE evil'),
    ],
    ['an edited manifest', (script) => script.replace(/(?<='begun', '\\x[0-9a-f]{4000})../, '41'), { exitCode: 20 }],
    [
      'a manifest cut short',
      (script) => script.replace(/(?<='begun', '\\x[0-9a-f]{4000})[0-9a-f]+/, ''),
      { exitCode: 20 },
    ],
    ['no manifest', (script) => script.replace(markerLines(script), ''), { code: 'import-pending' }],
    [
      'a marker of another shape',
      (script) =>
        script
          .replace('manifest BYTEA NOT NULL', 'manifest BYTEA')
          .replace('state TEXT NOT NULL', 'state TEXT')
          .replace('UPDATE import_marker', 'ALTER TABLE import_marker DROP COLUMN manifest;\nUPDATE import_marker'),
      { code: 'damaged' },
    ],
    [
      'a newer format',
      (script) => script.replace("(0, 1, 'begun'", "(0, 2, 'begun'"),
      { code: 'version-incompatible', exitCode: 22 },
    ],
  ];

  it.each(edits)('with %s does not serve, and says why', async (_, edit, failure) => {
    const { host, script } = await sharedExport();
    const edited = edit(script);
    expect(edited).not.toBe(script);
    const replayed = await replayWhole(host, edited);
    await expect(serveImport(replayed)).rejects.toMatchObject(failure);
    expect(await findImport(replayed.server)).toBeDefined();
    const database = replayed.server.open(replayed.server.liveName);
    expect(await listRestores(database.queries)).toEqual([]);
    await database.close();
  });

  it('with the manifest of another backup, or of another cluster, does not serve', async () => {
    const { host, cluster, script, context } = await makeExport();
    await addUsers(cluster.database, 1, 'later.example.org');
    const later = await createBackup(context, cluster, { kind: 'manual' });
    const ofLater = script.replace(markerLines(script), markerLines(await scriptOf(cluster, later.id)));
    await expect(serveImport(await replayWhole(host, ofLater))).rejects.toMatchObject(
      differs('table "users" has 30 rows, the backup 31'),
    );
    const other = await makeExport();
    const ofOther = script.replace(markerLines(script), markerLines(other.script));
    const replayed = await replayWhole(host, ofOther);
    await expect(serveImport(replayed)).rejects.toMatchObject({ code: 'forged', exitCode: 20 });
    await expect(
      finishImport(makeContext(), replayed, accepted(cluster.keyring.fingerprint, true)),
    ).rejects.toMatchObject({ code: 'forged' });
  });

  it('brings no sessions, invitations, leases or maintenance along', async () => {
    const { host, script } = await sharedExport();
    const planted = `INSERT INTO sessions SELECT user_id, user_id, '\\x${'ab'.repeat(32)}'::bytea, now(), now() FROM users LIMIT 1;
INSERT INTO leases (name, counter) VALUES ('mine', 7);
INSERT INTO node_invites VALUES ('019aa000-0000-7000-8000-000000000001', '\\x00'::bytea, 'me', now(), now(), NULL);
UPDATE maintenance SET maintenance_id = '019aa000-0000-7000-8000-000000000001', expires_at = 'infinity';
UPDATE import_marker`;
    const replayed = await replayWhole(host, script.replace('UPDATE import_marker', planted));
    const { cluster } = await serveImport(replayed);
    const { rows } =
      await sql`SELECT (SELECT count(*) FROM sessions) AS sessions, (SELECT count(*) FROM node_invites) AS invites,
      (SELECT count(*) FROM maintenance WHERE maintenance_id IS NULL) AS free, (SELECT count(*) FROM write_locks) AS locks`.execute(
        cluster.database.queries,
      );
    expect(rows).toEqual([{ sessions: 0, invites: 0, free: 1, locks: 1 }]);
  });
});

describe('an import that nobody can compare', () => {
  it('waits for a person where there is no repository, and serves when one names the key', async () => {
    const { host, cluster, wanted, backup, script } = await sharedExport();
    const replayed = { ...(await replayWhole(host, script)), store: undefined };
    await expect(openOrCreateCluster(makeContext(), replayed)).rejects.toMatchObject({
      code: 'import-pending',
      hint: expect.stringContaining('database accept-import --cluster-key') as string,
    });
    const shown: unknown[] = [];
    const finished = await finishImport(makeContext(), replayed, {
      ...accepted(cluster.keyring.fingerprint),
      confirm: async (_, check) => void shown.push(check),
    });
    const check = { notCompared: 'there is no repository', differences: [], acceptedFor: cluster.keyring.fingerprint };
    expect(shown).toEqual([check]);
    expect(finished).toMatchObject({ backupId: backup.id, check });
    const opened = await openCluster(makeContext(), replayed);
    onTestFinished(() => opened.database.close());
    expect(await dumpDatabase(opened.database)).toEqual(wanted);
    expect((await listAuditEvents(opened.database.queries, { type: 'RESTORE' }))[0]?.details).toMatchObject(check);
  });

  it('refuses one that is older than what this host has seen, unless told', async () => {
    const { context, host, cluster, script } = await makeExport();
    await createBackup(context, cluster, { kind: 'manual' });
    const replayed = { ...(await replayWhole(host, script)), store: undefined };
    const { fingerprint } = cluster.keyring;
    await expect(finishImport(makeContext(), replayed, accepted(fingerprint))).rejects.toMatchObject({
      code: 'not-permitted',
      exitCode: 40,
      message: expect.stringMatching(/sequence 1; this host has seen sequence 2/) as string,
      hint: expect.stringContaining('--older') as string,
    });
    await expect(finishImport(makeContext(), replayed, accepted(fingerprint, true))).resolves.toMatchObject({
      sequence: 1,
    });
    expect((await host.localState.read())?.highestSequence).toBe(2);
  });

  it('stops where the person says no, and nothing is written', async () => {
    const { host, cluster, script } = await sharedExport();
    const replayed = await replayWhole(host, script);
    const no = new RangeError('no');
    const confirm = async (): Promise<void> => {
      throw no;
    };
    await expect(
      finishImport(makeContext(), replayed, { ...accepted(cluster.keyring.fingerprint), confirm }),
    ).rejects.toBe(no);
    expect(await written(replayed)).toMatchObject({ restores: 0, checks: 0, incarnation: 1 });
  });
});

describe('on another host, an import', () => {
  it('that it has no key for is left as it is, and the hosts that have one are named', async () => {
    const { host, script } = await sharedExport();
    const stranger = await replayWhole(host, script, { directory: temporaryDirectory() });
    await stranger.sealing.provision();
    const before = await written(stranger);
    await expect(serveImport(stranger)).rejects.toMatchObject({
      code: 'no-key',
      exitCode: 21,
      message: expect.stringContaining('host-a') as string,
    });
    expect(await written(stranger)).toEqual(before);
  });

  it('waits for the cluster key where the host remembers nothing, and is compared then', async () => {
    const { host, cluster, script } = await sharedExport();
    const wiped = temporaryDirectory();
    cpSync(join(host.directory, 'keys'), join(wiped, 'keys'), { recursive: true });
    const replayed = await replayWhole(host, script, { directory: wiped });
    await expect(serveImport(replayed)).rejects.toMatchObject({
      code: 'import-pending',
      message: expect.stringContaining('remembers no cluster') as string,
    });
    await expect(finishImport(makeContext(), replayed, accepted(cluster.keyring.fingerprint))).resolves.toMatchObject({
      check: { notCompared: null, differences: [] },
    });
    expect(await replayed.localState.read()).toMatchObject({
      clusterId: cluster.keyring.clusterId,
      highestSequence: 1,
    });
  });

  it('is refused where the repository hides what this host has seen', async () => {
    const { host, script } = await makeExport();
    await host.localState.update((before) => ({ ...before!, highestSequence: 9 }));
    await expect(serveImport(await replayWhole(host, script))).rejects.toMatchObject({ code: 'forged', exitCode: 20 });
  });
});

describe('an import that somebody else works on', () => {
  it('is finished once by two managers that start together', async () => {
    const { host, script, backup } = await sharedExport();
    const replayed = await replayWhole(host, script);
    const outcomes = await Promise.allSettled([1, 2, 3].map(() => finishImport(makeContext(), replayed, compared)));
    const finished = outcomes.flatMap((each) => (each.status === 'fulfilled' && each.value ? [each.value] : []));
    const held = outcomes.flatMap((each) => (each.status === 'rejected' ? [each.reason as unknown] : []));
    expect(finished).toMatchObject([{ backupId: backup.id }]);
    for (const error of held) expect(error).toMatchObject({ code: 'lease-held', exitCode: 13 });
    const { cluster } = await serveImport(replayed);
    expect(await listRestores(cluster.database.queries)).toHaveLength(1);
  });

  it.each(['import.compared', 'import.migrated'] as const)('is compared anew after a crash at %s', async (point) => {
    const { host, script } = await sharedExport();
    const stopped = abortedContext({ point });
    const replayed = await replayWhole(host, script);
    await expect(finishImport(stopped.context, replayed, compared)).rejects.toBe(stopped.reason);
    // Nothing that a crash left says that it was.
    await expect(finishImport(makeContext(), { ...replayed, store: undefined }, compared)).rejects.toMatchObject({
      code: 'import-pending',
      message: expect.stringContaining('no repository to compare') as string,
    });
    await expect(finishImport(makeContext(), replayed, compared)).resolves.toMatchObject({
      check: { notCompared: null, differences: [] },
    });
  });

  it('brings no check along, not even the one that an earlier release made of this very database', async () => {
    const { host, cluster, script } = await sharedExport();
    const edited = script.replace("'User 17'", "'User 71'");
    expect(edited).not.toBe(script);
    const replayed = await replayWhole(host, edited);
    const database = replayed.server.open(replayed.server.liveName);
    onTestFinished(() => database.close());
    const { manifest } = (await readImportMarker(database))!;
    const digest = createHash('sha256').update(manifest).digest('hex');
    const identity = await replayed.server.databaseIdentity(replayed.server.liveName);
    const place = { table: 'import_marker', column: 'sealed_check', key: `${identity} ${digest}` };
    const check = Buffer.from(JSON.stringify({ notCompared: null, differences: [], acceptedFor: null }));
    const sealed = sealColumn(cluster.keyring.currentEpoch, place, check, systemRandomness);
    await sql`UPDATE import_marker SET sealed_check = ${sealed} WHERE part = 0`.execute(database.queries);
    expect(await written(replayed)).toMatchObject({ checks: 1 });
    await expect(serveImport(replayed)).rejects.toMatchObject(differs('table "users" has other rows'));
  });
});

describe('a restore over an import', () => {
  it.each(['half replayed', 'whole'])('that is %s replaces it, and keeps it until cleanup', async (how) => {
    const { host, wanted, script } = await sharedExport();
    const kept = how === 'whole' ? script : script.slice(0, script.length / 2);
    const { host: replayed } = await replay(host, `ALTER DATABASE :"DBNAME" SET work_mem TO '7MB';\n${kept}`);
    const plan = await planRestore({ ...replayed, server: replayed.server }, 'latest');
    expect([plan.obstacles, plan.server?.live?.clusterId]).toEqual([[], null]);
    const noting = makeContext();
    const { restoreId } = await restore(noting, replayed, confirmed);
    expect(noting.notes).toContain('taken over from the database that is replaced: the setting work_mem=7MB');
    const { cluster } = await serveImport(replayed);
    expect(await dumpDatabase(cluster.database)).toEqual(wanted);
    const left = await leftDatabases(replayed.server);
    expect(left).toMatchObject([{ restoreId, role: 'before' }]);
    await cleanUpRestore(makeContext(), cluster, left);
    expect(await leftDatabases(replayed.server)).toEqual([]);
  });
});

describe('an export from before an eviction', () => {
  it('is finished on no host that is being evicted, also while the eviction is half done', async () => {
    const { context, host, backup } = await makeExport();
    const [second] = (await enrolHosts(host, ['host-b'])) as [TestHost];
    const before = await reopen(context, host);
    const script = await scriptOf(before, backup.id);
    const reach = (point: string): void => {
      if (point === 'advance-keys.epoch-written') throw new Error('killed');
    };
    const killed = makeContext({ crashPoints: { reach } });
    const { node } = await planEviction(before, 'host-b');
    await expect(evictNode(killed, host, before, node)).rejects.toThrow('killed');

    const evicted = await replayWhole(host, script, { directory: second.directory });
    await expect(serveImport(evicted)).rejects.toMatchObject({ code: 'not-permitted', exitCode: 40 });
    expect(await findImport(evicted.server)).toMatchObject({ state: 'complete', summary: { id: backup.id } });
  });

  it('does not undo it: keys, nodes and sealed columns are those of today', async () => {
    const { context, host, cluster } = await makeExport();
    const [second] = (await enrolHosts(host, ['host-b'])) as [TestHost];
    const before = await reopen(context, host);
    const secret = Buffer.from('a secret setting');
    await saveSetting(before.database.queries, before.keyring, { name: 'smtp', value: null, secret }, context);
    const old = await createBackup(context, before, { kind: 'manual' });
    const script = await scriptOf(before, old.id);
    await evictNode(context, host, before, (await planEviction(before, 'host-b')).node);

    const evicted = await replayWhole(host, script, { directory: second.directory });
    await expect(serveImport(evicted)).rejects.toMatchObject({ code: 'not-permitted', exitCode: 40 });
    expect(await findImport(evicted.server)).toMatchObject({ state: 'complete' });
    const { cluster: served } = await serveImport(await replayWhole(host, script));
    const { queries } = served.database;
    expect(served.keyring).toMatchObject({ keyGeneration: 2, newestEpoch: 2 });
    expect((await listNodes(queries)).map(({ name, status }) => [name, status])).toEqual([
      ['host-a', 'PROVISIONED'],
      ['host-b', 'DEACTIVATED'],
    ]);
    const { rows } = await sql<{ sealed: Buffer }>`SELECT sealed_secret AS sealed FROM settings`.execute(queries);
    expect(rows.map(({ sealed }) => sealed.readUInt32BE(1))).toEqual([2]);
    expect((await readSetting(queries, served.keyring, 'smtp'))?.secret).toEqual(secret);

    // Without the repository nothing but this host's memory knows of the eviction.
    const alone = { ...(await replayWhole(host, script)), store: undefined };
    for (const word of [accepted(cluster.keyring.fingerprint), accepted(served.keyring.fingerprint, true)])
      await expect(finishImport(makeContext(), alone, word)).rejects.toMatchObject({ exitCode: 20 });
  });
});

function differs(what: string): object {
  return { code: 'rows-differ', exitCode: 31, message: expect.stringContaining(what) as string };
}
