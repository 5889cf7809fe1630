import { sql } from 'kysely';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { systemClock } from '#adapters/system/clock.ts';
import { systemRandomness } from '#adapters/system/randomness.ts';
import { stagingPrefix } from '#model/restore-names.ts';
import { createBackup } from '#operations/create-backup.ts';
import { openCluster } from '#operations/open-cluster.ts';
import { planRollback } from '#operations/plan-rollback.ts';
import { readCatalog } from '#operations/read-catalog.ts';
import { readKeyringDocuments } from '#operations/open-repository.ts';
import { restore } from '#operations/restore.ts';
import { rollbackRestore } from '#operations/rollback-restore.ts';
import { readMaintenance } from '#store/maintenance.ts';
import { saveSetting, readSetting } from '#store/settings.ts';
import { saveCaKey, readCaKey } from '#store/ca-keys.ts';
import { makeCluster, type TestCluster } from '../fixtures/cluster.ts';
import { dumpDatabase } from '../fixtures/dump.ts';
import { makeContext } from '../fixtures/host.ts';
import { confirmed, reopen } from '../fixtures/restoring.ts';
import { Attacker } from './attacker.ts';
import { Scene } from './stage.ts';

const ports = { clock: systemClock, randomness: systemRandomness };
const caKeyId = '019aa8f0-0000-7000-8000-000000000001';

let made: TestCluster;
let attacker: Attacker;
let scene: Scene;

beforeEach(async () => {
  made = await makeCluster();
  const { context, cluster, host } = made;
  await createBackup(context, cluster, { kind: 'manual' });
  const { keyring } = cluster;
  attacker = new Attacker({ keyring, documents: await readKeyringDocuments(host.store) });
  scene = new Scene({ host }, { database: host.server.liveName });
});

/** A statement of somebody who may write every table. */
const write = async (statement: string): Promise<number> =>
  Number((await sql.raw(statement).execute(made.cluster.database.queries)).numAffectedRows);

const hex = (bytes: Uint8Array): string => `'\\x${Buffer.from(bytes).toString('hex')}'::bytea`;

/** A server that is not there. */
const plantServer = (heartbeat: string, expires = `now() + interval '100 years'`): string =>
  `INSERT INTO servers (server_id, host, process_id, product_version, started_at, heartbeat_at, expires_at)
   VALUES (gen_random_uuid(), 'intruder', 1234, 'x', now(), ${heartbeat}, ${expires})`;

async function expectNobodyNew(): Promise<void> {
  const opened = await openCluster(made.context, made.host);
  onTestFinished(() => opened.database.close());
  expect(opened.keyring.membership).toMatchObject({ number: 1, nodes: [{ name: 'host-a' }] });
  const [entry] = (await readCatalog(made.host.store, opened.keyring)).backups;
  expect(entry?.entry.openableBy).toEqual([opened.keyring.nodeId]);
  const slots = (await readKeyringDocuments(made.host.store)).filter(({ path }) =>
    /epochs\/\d+\/.+\..+\.json/.test(path),
  );
  expect(slots.map(({ path }) => path)).toEqual([expect.stringContaining(opened.keyring.nodeId)]);
}

describe('somebody who can write to the database', () => {
  it('and inserts a node gets no slot, no membership and no key', async () => {
    const own = await attacker.credential();
    await write(`INSERT INTO nodes (node_id, name, site, status, credential_id, hardware_identity, sealing_provider, grade,
        membership_number, labels, created_at, updated_at)
      SELECT '${own.nodeId}', 'intruder', NULL, status, '${own.credentialId}', '${own.hardwareIdentity}', 'software', grade,
        membership_number, '{}', now(), now() FROM nodes LIMIT 1`);

    const { document } = await scene.succeed('backup', 'create');
    expect(document).toMatchObject({ sequence: 2 });
    await expectNobodyNew();
    const listed = await scene.run('openability');
    expect(listed.stdout).not.toContain('intruder');
  });

  it('and inserts a keyring of his own is not believed', async () => {
    for (const { path, bytes } of await attacker.generation(2)) {
      const [, kind, first, second] = path.split('/');
      if (kind === 'members') await write(`INSERT INTO memberships (number, document) VALUES (2, ${hex(bytes)})`);
      else if (kind === 'nodes')
        await write(
          `INSERT INTO credentials (credential_id, node_id, document) VALUES ('${second!.replace('.json', '')}', '${first}', ${hex(bytes)})`,
        );
      else if (second === 'epoch.json')
        await write(`INSERT INTO key_epochs (epoch, document) VALUES (2, ${hex(bytes)})`);
      else {
        const [node, credential] = second!.split('.');
        await write(
          `INSERT INTO key_slots (epoch, node_id, credential_id, document) VALUES (2, '${node}', '${credential}', ${hex(bytes)})`,
        );
      }
    }

    expect((await scene.succeed('backup', 'create')).document).toMatchObject({ sequence: 2 });
    expect((await scene.succeed('keys', 'status')).document).toMatchObject({ keyGeneration: 1, currentEpoch: 1 });
    await write(`INSERT INTO key_epochs (epoch, document) VALUES (4000000000, '\\x6a'), (5000000000, '\\x6a')`);
    const invited = await scene.run('node', 'invite');
    expect([invited.exitCode, invited.stderr]).toEqual([
      0,
      expect.stringMatching(/what is stored as epoch 2 is none.*\n.*as epoch 4000000000 is none/),
    ]);
    await expectNobodyNew();
  });

  it('and fills the tables of the keyring beyond what any has is named before anything of it is read', async () => {
    const added = await write(`INSERT INTO memberships (number, document)
      SELECT number, convert_to(repeat('x', 1000000), 'UTF8') FROM generate_series(100, 699) AS numbers (number)`);
    expect(added).toBe(600);
    const { exitCode, stderr } = await scene.run('backup', 'create');
    expect([exitCode, stderr]).toEqual([20, expect.stringMatching(/keyring has 60\d documents of 6000\d{5} bytes/)]);
    expect(stderr).toContain('Find out who else writes to the database');

    await scene.succeed('restore', 'run', 'latest', '--yes', '--without-safety-backup');
    expect((await scene.succeed('backup', 'create')).document).toMatchObject({ sequence: 2 });
  });

  it('and inserts an invite and a join request is refused by the manager: he cannot seal what checks it', async () => {
    const own = await attacker.credential();
    const inviteId = '11111111-1111-4111-8111-111111111111';
    const request = Buffer.from(
      JSON.stringify({
        formatVersion: 1,
        clusterId: attacker.clusterId,
        keyGeneration: 1,
        verifyKey: made.cluster.keyring.verifyKey.toString('base64'),
        node: own,
      }),
    );
    await write(`INSERT INTO node_invites (invite_id, sealed_mac_key, created_by, created_at, expires_at)
      VALUES ('${inviteId}', ${hex(Buffer.concat([Buffer.from('0100000001', 'hex'), Buffer.alloc(60, 7)]))}, 'me', now(), now() + interval '1 day')`);
    await write(`INSERT INTO join_requests (join_request_id, invite_id, request, mac, status, created_at)
      VALUES ('${own.nodeId}', '${inviteId}', ${hex(request)}, ${hex(Buffer.alloc(32))}, 'PENDING', now())`);
    const serve = await scene.serve();
    await serve.saw(/Stop with Ctrl-C/);

    await expect
      .poll(async () => await statusOf(own.nodeId), { timeout: 60_000, interval: 200 })
      .toMatchObject({ status: 'REFUSED', reason: expect.stringContaining('was altered, or belongs to another row') });
    serve.child.kill('SIGTERM');
    expect((await serve.ended).exitCode).toBe(0);
    await expectNobodyNew();
  });

  it('and moves a sealed value to another row or column gets no secret, and the reader an error', async () => {
    const { keyring, database } = made.cluster;
    for (const [name, text] of [
      ['mine', 'known'],
      ['theirs', 'SECRET'],
    ] as const) {
      const secret = Buffer.from(text);
      await saveSetting(database.queries, keyring, { name, value: null, secret }, ports);
    }
    const caKey = { caKeyId, zone: 'z', algorithm: 'a', certificate: Buffer.from('c'), createdAt: new Date() };
    await saveCaKey(database.queries, keyring, { ...caKey, privateKey: Buffer.from('CA') }, ports);
    const moved = await write(
      `UPDATE settings SET sealed_secret = (SELECT sealed_secret FROM settings WHERE name = 'theirs') WHERE name = 'mine'`,
    );
    await write(`UPDATE ca_keys SET sealed_private_key = (SELECT sealed_secret FROM settings WHERE name = 'theirs')`);

    expect(moved).toBe(1);
    const altered = { code: 'damaged', message: expect.stringContaining('was altered, or belongs to another row') };
    await expect(readSetting(database.queries, keyring, 'mine')).rejects.toMatchObject(altered);
    await expect(readCaKey(database.queries, keyring, caKeyId)).rejects.toMatchObject(altered);
    expect((await readSetting(database.queries, keyring, 'theirs'))?.secret?.toString()).toBe('SECRET');
  });

  it('and says that the cluster is another one stops this host, which serves neither', async () => {
    await write(`UPDATE cluster SET cluster_id = '11111111-1111-4111-8111-111111111111'`);

    const failed = await scene.fail('status');
    expect(failed).toMatchObject({ exitCode: 20, code: 'forged' });
    expect(failed.message).toContain('its rows of cluster 11111111-1111-4111-8111-111111111111');
  });

  it('can keep backups from being taken with a lease that never ends, which status says', async () => {
    await write(`INSERT INTO leases (name, counter, incarnation_number, incarnation_random, holder, acquired_at, expires_at)
      SELECT 'operation', 99, incarnation_number, incarnation_random, 'nobody', now(), now() + interval '100 years' FROM cluster
      ON CONFLICT (name) DO UPDATE SET counter = 99, holder = 'nobody', acquired_at = now(), expires_at = now() + interval '100 years'`);

    const failed = await scene.fail('backup', 'create');
    expect(failed).toMatchObject({ exitCode: 13, code: 'lease-held', message: expect.stringContaining('nobody') });
    expect((await scene.run('backup', 'verify', 'latest')).exitCode).toBe(0);
  });

  it('cannot make a restore or a rollback wait for a server that nobody renews, however long it says that it lasts', async () => {
    const plant = async (statement: (text: string) => Promise<number>): Promise<void> => {
      expect(await statement(plantServer('now()'))).toBe(1);
      expect(await statement(plantServer(`now() + interval '100 years'`))).toBe(1);
      // Times that no process can have, and that cannot be read.
      for (const time of ["'infinity'", "'-infinity'", "'294000-01-01'"]) {
        expect(await statement(plantServer(time))).toBe(1);
        expect(await statement(plantServer('now()', time))).toBe(1);
      }
    };
    await plant(write);
    const run = await scene.succeed('restore', 'run', 'latest', '--yes', '--without-safety-backup');
    expect(run.said).toMatch(
      /waiting for the server of host "intruder" \(process 1234, id [0-9a-f-]{36}\), .* to pause/,
    );

    const restored = made.host.server.open(made.host.server.liveName, { connections: 1 });
    await plant(async (text) => Number((await sql.raw(text).execute(restored.queries)).numAffectedRows));
    await restored.close();
    const back = await scene.succeed('restore', 'rollback', '--yes');
    expect(back.said).toContain('waiting for the server of host "intruder" (process 1234');
  });

  it('can keep a restore and a rollback from happening with a server that he renews: they end and name it', async () => {
    const { host } = made;
    await restore(made.context, host, { ...confirmed, safetyBackup: false });
    const cluster = await reopen(made.context, host);
    const { queries } = cluster.database;
    await sql.raw(plantServer('now()')).execute(queries);
    const before = [await host.server.databaseIdentity(host.server.liveName), await dumpDatabase(cluster.database)];
    let renewed = 0n;
    const renewing = setInterval(() => {
      void sql`UPDATE servers SET heartbeat_at = clock_timestamp()`
        .execute(queries)
        .then(({ numAffectedRows }) => (renewed += numAffectedRows ?? 0n))
        .catch(() => {});
    }, 200);
    onTestFinished(() => clearInterval(renewing));
    const clock = { ...systemClock, monotonicMs: () => systemClock.monotonicMs() * 10 };
    const refused = {
      code: 'lease-held',
      exitCode: 13,
      message: expect.stringMatching(
        /^the server of host "intruder" \(process 1234, id [0-9a-f-]{36}\) did not pause within 60 seconds; nothing was replaced$/,
      ) as string,
    };
    const plan = await planRollback(cluster);
    const attempts = [
      () => restore(makeContext({ clock }), host, { ...confirmed, safetyBackup: false }),
      () => rollbackRestore(makeContext({ clock }), cluster, plan),
    ];
    for (const attempt of attempts) {
      const until = renewed;
      await expect(attempt()).rejects.toMatchObject(refused);
      expect(renewed).toBeGreaterThan(until + 5n);
      expect(await readMaintenance(queries)).toBeUndefined();
      expect([await host.server.databaseIdentity(host.server.liveName), await dumpDatabase(cluster.database)]).toEqual(
        before,
      );
      expect(await host.server.databaseNames(stagingPrefix(host.server.liveName))).toEqual([]);
    }
  });

  it('cannot make a false record of a restore replace or drop a database', async () => {
    await write(`INSERT INTO restores (restore_id, backup_id, backup_sequence, state, incarnation_number, incarnation_random,
        begun_by, begun_at, before_database)
      SELECT '20260101T000000Z-aaaaaa', '20260101T000000Z-aaaaaa', 1, 'complete', incarnation_number, incarnation_random,
        'me', now(), 'postgres' FROM cluster`);

    const cleaned = await scene.run('restore', 'cleanup', '--yes', '--json');
    const back = await scene.run('restore', 'rollback', '--yes', '--json');
    expect([cleaned.exitCode, back.exitCode], cleaned.stdout + back.stdout).not.toContain(1);
    expect(back.exitCode).not.toBe(0);
    expect(await made.host.server.databaseIdentity('postgres')).toBeDefined();
    expect(await made.host.server.databaseIdentity(made.host.server.liveName)).toBeDefined();
  });
});

async function statusOf(joinRequestId: string): Promise<unknown> {
  const { rows } = await sql`SELECT status, reason FROM join_requests WHERE join_request_id = ${joinRequestId}`.execute(
    made.cluster.database.queries,
  );
  return rows[0];
}
