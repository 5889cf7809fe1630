import { sql } from 'kysely';
import { describe, expect, it } from 'vitest';
import { manifestPath } from '#format/layout.ts';
import { encodeManifest } from '#format/manifest.ts';
import { createBackup } from '#operations/create-backup.ts';
import { readManifest } from '#operations/read-manifest.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import { systemRandomness } from '#adapters/system/randomness.ts';
import { makeCluster, type TestCluster } from '../fixtures/cluster.ts';
import { withCluster, enrolHosts } from '../fixtures/hosts.ts';
import { makeContext } from '../fixtures/host.ts';
import { Scene } from './stage.ts';

/** More than a number can hold, and the most that an int8 can. */
const huge = '1152921504606846976';
const most = '9223372036854775807';
const zeros = `decode(repeat('00', 32), 'hex')`;
const auditEvent = (position: string): string =>
  `INSERT INTO audit_events (position, event_id, occurred_at, type, action, actor, details, previous_hash, hash)
   VALUES (${position}, gen_random_uuid(), now(), 'ADMIN', 'planted', 'me', '{}', ${zeros}, ${zeros})`;
const restoreRecord = (id: string, column: string): string =>
  `INSERT INTO restores (restore_id, backup_id, state, incarnation_random, begun_by, begun_at, replaced_audit_hash, replaced_incarnation_random,
     backup_sequence, incarnation_number, replaced_incarnation_number, replaced_audit_position)
   SELECT '${id}', 'y', 'complete', '0000000000000000', 'me', now(), repeat('0', 64), repeat('0', 16),
     ${['backup_sequence', 'incarnation_number', 'replaced_incarnation_number', 'replaced_audit_position']
       .map((each) => (each === column ? huge : '1'))
       .join(', ')}`;

/** Rows with numbers that nobody can count with, or that say that they are newer than everything signed: table, where they are, statement. */
const planted: readonly (readonly [table: string, where: string, statement: string])[] = [
  ['memberships', `number = ${huge}`, `INSERT INTO memberships (number, document) VALUES (${huge}, '\\x6a')`],
  ['memberships', 'number = 2', `INSERT INTO memberships (number, document) VALUES (2, '\\x6a')`],
  ['key_epochs', `epoch = ${most}`, `INSERT INTO key_epochs (epoch, document) VALUES (${most}, '\\x6a')`],
  [
    'key_slots',
    `epoch = ${huge}`,
    `INSERT INTO key_slots (epoch, node_id, credential_id, document) VALUES (${huge}, gen_random_uuid(), gen_random_uuid(), '\\x6a')`,
  ],
  ['nodes', `membership_number = ${huge}`, `UPDATE nodes SET membership_number = ${huge}`],
  ['audit_events', `position = ${most}`, auditEvent(most)],
  ['audit_events', 'position = 9007199254740990', auditEvent('9007199254740990')],
  ['restores', `backup_sequence = ${huge}`, restoreRecord('z1', 'backup_sequence')],
  ['restores', `incarnation_number = ${huge}`, restoreRecord('z2', 'incarnation_number')],
  ['restores', `replaced_incarnation_number = ${huge}`, restoreRecord('z3', 'replaced_incarnation_number')],
  ['restores', `replaced_audit_position = ${huge}`, restoreRecord('z4', 'replaced_audit_position')],
];

const run = async ({ cluster }: TestCluster, statement: string): Promise<void> => {
  await sql.raw(statement).execute(cluster.database.queries);
};

async function plant(made: TestCluster): Promise<void> {
  for (const [, , statement] of planted) await run(made, statement);
  for (const [table, where] of planted) expect(await countOf(made, table, where), `${table} ${where}`).toBe(1);
}

async function countOf({ host }: TestCluster, table: string, where: string): Promise<number> {
  const database = host.server.open(host.server.liveName, { connections: 1 });
  try {
    const { rows } = await sql<{ found: number }>`SELECT count(*) AS found FROM ${sql.table(table)}
      WHERE ${sql.raw(where)}`.execute(database.queries);
    return rows[0]!.found;
  } finally {
    await database.close();
  }
}

/** Everything that opens it does. */
async function expectOpens(scene: Scene, sequence: number): Promise<void> {
  const status = await scene.run('status', '--json');
  expect(JSON.parse(status.stdout), status.stderr).toMatchObject({ healthy: expect.any(Boolean) as boolean });
  expect((await scene.succeed('backup', 'create')).document).toMatchObject({ sequence });
}

async function expectServes(scene: Scene, sequence: number): Promise<void> {
  await expectOpens(scene, sequence);
  const serve = await scene.serve();
  await serve.saw(/Stop with Ctrl-C/);
  serve.child.kill('SIGTERM');
  expect((await serve.ended).exitCode).toBe(0);
}

/** A backup whose rows are as they were while its snapshot was taken, and no longer when its manifest was written. */
async function backUpWhile(made: TestCluster, statement: string, undo: string): Promise<string> {
  const { cluster, host } = made;
  let taken = false;
  let undone = 0;
  const crashPoints = { reach: (point: string) => void (taken ||= point === 'backup.snapshot-taken') };
  const store = new Proxy(host.store, {
    get: (target, name: keyof ObjectStore) => {
      const member: unknown = target[name];
      if (typeof member !== 'function') return member;
      if (name === 'list') return target.list.bind(target);
      return async (...args: unknown[]): Promise<unknown> => {
        if (taken && undone === 0) {
          undone += 1;
          await run(made, undo);
        }
        return await (Reflect.apply(member, target, args) as Promise<unknown>);
      };
    },
  });
  await run(made, statement);
  const { id } = await createBackup(makeContext({ crashPoints }), { ...cluster, store }, { kind: 'manual' });
  expect(undone).toBe(1);
  return id;
}

describe('somebody who plants numbers in the database', () => {
  it('keeps no backup of it from being drilled and restored into a database that serves', async () => {
    const made = await makeCluster();
    await plant(made);
    const { id } = await createBackup(made.context, made.cluster, { kind: 'manual' });
    // The real membership 2 comes after the one that lies in the backup.
    await run(made, 'DELETE FROM memberships WHERE number = 2');
    await enrolHosts(made.host, ['host-b']);
    const scene = new Scene(made, { database: made.host.server.liveName });

    await scene.succeed('backup', 'drill', id);
    await scene.succeed('restore', 'run', id, '--yes', '--without-safety-backup');

    for (const [table, where] of planted.slice(0, 5))
      expect(await countOf(made, table, where), table).toBe(where === 'number = 2' ? 1 : 0);
    // What is not the keyring's is as it was in the backup.
    for (const [table, where] of planted.slice(5)) expect(await countOf(made, table, where), table).toBe(1);
    await expectServes(scene, 2);
    expect((await scene.succeed('node', 'list')).document).toMatchObject([{ name: 'host-a' }, { name: 'host-b' }]);
    expect((await scene.run('audit', 'list', '--json')).stdout).toContain('restored');
    const verified = await scene.fail('audit', 'verify');
    expect(verified).toMatchObject({
      exitCode: 20,
      code: 'damaged',
      message: expect.stringContaining(`audit_events.position in the database is ${most}`) as string,
    });
  });

  it('keeps no backup from being restored by what he wrote about the cluster for the moment of its snapshot', async () => {
    const made = await makeCluster();
    const { incarnation, clusterId } = await withCluster(made.host, async ({ database, keyring }) => {
      const { rows } = await sql<{ incarnation_number: number }>`SELECT incarnation_number FROM cluster`.execute(
        database.queries,
      );
      return { incarnation: rows[0]!.incarnation_number, clusterId: keyring.clusterId };
    });
    const id = await backUpWhile(
      made,
      `UPDATE cluster SET cluster_id = '11111111-1111-4111-8111-111111111111', state = 'creating', incarnation_number = ${most}`,
      `UPDATE cluster SET cluster_id = '${clusterId}', state = 'ready', incarnation_number = ${incarnation}`,
    );
    const scene = new Scene(made, { database: made.host.server.liveName });

    await scene.succeed('backup', 'drill', id);
    const { document } = await scene.succeed('restore', 'run', id, '--yes', '--without-safety-backup');
    expect(document).toMatchObject({ incarnation: { number: 2 } });
    await expectServes(scene, 2);
  });

  it('spoils no restore with the incarnation of a backup that an older version made of it', async () => {
    const made = await makeCluster();
    const { context, cluster, host } = made;
    const good = await createBackup(context, cluster, { kind: 'manual' });
    const manifest = await readManifest(host.store, cluster.keyring, good.id);
    const poisoned = '20990101T000000Z-aaaaaa';
    const incarnation = { number: Number.MAX_SAFE_INTEGER, random: '0'.repeat(16) };
    const summary = { ...manifest.summary, id: poisoned, sequence: 2, incarnation };
    await host.store.put(
      manifestPath(poisoned),
      encodeManifest(cluster.keyring, { ...manifest, summary }, systemRandomness),
    );
    const scene = new Scene(made, { database: host.server.liveName });

    expect((await scene.succeed('backup', 'list')).document).toMatchObject([
      { id: poisoned, sequence: 2 },
      { id: good.id },
    ]);
    const first = await scene.succeed('restore', 'run', good.id, '--yes');
    expect(first.document).toMatchObject({ backupId: good.id, incarnation: { number: 2 } });
    await expectOpens(scene, 5);
    const second = await scene.succeed('restore', 'run', poisoned, '--yes');
    expect(second.document).toMatchObject({ backupId: poisoned, incarnation: { number: 3 } });
    await expectOpens(scene, 8);
  });

  it.each([
    ['4294967296', '4294967296'],
    [most, '9007199254740991'],
  ])('stops a live database of incarnation %s with the way out, and no backup carries it on', async (number, read) => {
    const made = await makeCluster();
    const { context, cluster, host } = made;
    const good = await createBackup(context, cluster, { kind: 'manual' });
    await run(made, `UPDATE cluster SET incarnation_number = ${number}`);
    const scene = new Scene(made, { database: host.server.liveName });

    const message = `cluster.incarnation_number in the database is ${read}, which nothing here writes there`;
    const refused = { exitCode: 20, code: 'damaged', message };
    await expect(createBackup(context, cluster, { kind: 'manual' })).rejects.toMatchObject({
      code: 'damaged',
      message,
    });
    for (const command of [['status'], ['backup', 'create'], ['restore', 'rollback', '--yes'], ['serve']]) {
      const failed = await scene.run(...command, ...(command[0] === 'serve' ? [] : ['--json']));
      expect([failed.exitCode, failed.stdout + failed.stderr]).toEqual([20, expect.stringContaining(message)]);
    }
    const blocked = await scene.fail('restore', 'run', good.id, '--yes');
    expect(blocked).toMatchObject({ ...refused, message: expect.stringContaining(message) as string });
    expect(blocked.hint).toContain('--without-safety-backup');
    expect(await countOf(made, 'cluster', `incarnation_number = ${number}`)).toBe(1);

    const { document } = await scene.succeed('restore', 'run', good.id, '--yes', '--without-safety-backup');
    expect(document).toMatchObject({ incarnation: { number: 2 } });
    await expectOpens(scene, 2);
  });

  it('stops nothing in a live database with rows beside the signed ones, and an older backup replaces them', async () => {
    const made = await makeCluster();
    const good = await createBackup(made.context, made.cluster, { kind: 'manual' });
    await plant(made);
    await run(made, 'DELETE FROM memberships WHERE number = 2');
    await run(made, `UPDATE write_locks SET taken = ${most}`);
    await run(made, `UPDATE leases SET counter = ${most}, incarnation_number = ${most}`);
    await run(
      made,
      `INSERT INTO servers (server_id, host, process_id, product_version, started_at, heartbeat_at, expires_at)
      VALUES (gen_random_uuid(), 'me', ${most}, 'x', now(), now(), now() + interval '1 day')`,
    );
    const scene = new Scene(made, { database: made.host.server.liveName });

    await expectOpens(scene, 2);
    for (const command of [
      ['keys', 'status'],
      ['database', 'status'],
      ['node', 'list'],
      ['audit', 'list'],
    ])
      await scene.succeed(...command);
    expect(await scene.fail('audit', 'verify')).toMatchObject({ exitCode: 20 });
    await scene.succeed('restore', 'run', good.id, '--yes');
    await expectOpens(scene, 5);
    expect((await scene.succeed('audit', 'verify')).document).toBeDefined();
    await scene.succeed('restore', 'rollback', '--yes');
    await expectOpens(scene, 6);
  });

  it('gets a typed error where a number or a time has to be read', async () => {
    const made = await makeCluster();
    await run(made, `UPDATE cluster SET created_at = 'infinity'`);
    const scene = new Scene(made, { database: made.host.server.liveName });
    expect(await scene.fail('status')).toMatchObject({
      exitCode: 20,
      code: 'damaged',
      message: expect.stringContaining('cluster.created_at in the database is Infinity') as string,
    });
  });
});
