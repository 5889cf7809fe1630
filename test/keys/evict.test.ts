import { sql } from 'kysely';
import { describe, expect, it } from 'vitest';
import { createBackup } from '#operations/create-backup.ts';
import { evictNode } from '#operations/evict-node.ts';
import { openCluster } from '#operations/open-cluster.ts';
import { planEviction } from '#operations/plan-key-change.ts';
import { readCatalog } from '#operations/read-catalog.ts';
import { restore } from '#operations/restore.ts';
import { rotateKeys } from '#operations/rotate-keys.ts';
import { tendKeys } from '#operations/tend-keys.ts';
import { listAuditEvents, verifyAuditChain } from '#store/audit.ts';
import { listNodes } from '#store/nodes.ts';
import { listSecrets } from '#store/secrets.ts';
import { readSetting, saveSetting } from '#store/settings.ts';
import { makeCluster } from '../fixtures/cluster.ts';
import { dumpDatabase } from '../fixtures/dump.ts';
import { makeContext, makeHost } from '../fixtures/host.ts';
import { enrol, enrolHosts } from '../fixtures/hosts.ts';
import { freshDatabaseName } from '../fixtures/postgresql.ts';
import { confirmed, reopen, restoreInto } from '../fixtures/restoring.ts';
import { addUsers } from '../fixtures/rows.ts';

const secret = Buffer.from('a secret setting');

describe('the secrets that a host could read', () => {
  it('are counted where there are more than are named', async () => {
    const { cluster } = await makeCluster();
    const { queries } = cluster.database;
    await sql`INSERT INTO settings (name, value, sealed_secret, updated_at)
      SELECT 'secret-' || lpad(i::text, 4, '0'), 'null'::jsonb, '\\x00'::bytea, now()
        FROM generate_series(1, 1003::int8) AS i`.execute(queries);
    const { settings, unnamed } = await listSecrets(queries);
    expect([settings.length, settings.at(-1), unnamed]).toEqual([1000, 'secret-1000', { caKeys: 0, settings: 3 }]);
  });
});

describe('an evicted host', () => {
  it('opens nothing made after, while the others go on with old backups and new ones', async () => {
    const { context, host, cluster } = await makeCluster();
    await addUsers(cluster.database, 20);
    const [second, third] = (await enrolHosts(host, ['host-b', 'host-c'])) as [typeof host, typeof host];
    const before = await reopen(context, host);
    await saveSetting(before.database.queries, before.keyring, { name: 'smtp', value: null, secret }, context);
    const old = await createBackup(context, before, { kind: 'manual' });

    const plan = await planEviction(before, 'host-c');
    expect(plan).toMatchObject({
      node: { name: 'host-c' },
      alreadyEvicted: false,
      stillOpens: {
        epochs: [1],
        backups: [old.id],
        secrets: { settings: ['smtp'], caKeys: [], unnamed: { settings: 0, caKeys: 0 } },
      },
      nextBackupBytes: old.totalBytes,
      toReseal: [{ name: 'host-a' }, { name: 'host-b' }],
    });
    const change = await evictNode(context, host, before, plan.node);
    expect(change).toMatchObject({
      keyGeneration: 2,
      epoch: 2,
      waitingFor: [{ name: 'host-b' }],
    });

    await expect(openCluster(context, third)).rejects.toMatchObject({ code: 'not-permitted', exitCode: 40 });
    await expect(restore(context, third, confirmed)).rejects.toMatchObject({ code: 'not-permitted', exitCode: 40 });
    const after = await reopen(context, host);
    expect(after.keyring).toMatchObject({ sealedGeneration: 2, keyGeneration: 2, fingerprint: change.clusterKey });
    expect((await readSetting(after.database.queries, after.keyring, 'smtp'))?.secret).toEqual(secret);
    const nodes = await listNodes(after.database.queries);
    expect(nodes.map(({ name, status }) => [name, status])).toEqual([
      ['host-a', 'PROVISIONED'],
      ['host-b', 'PROVISIONED'],
      ['host-c', 'DEACTIVATED'],
    ]);
    const events = await listAuditEvents(after.database.queries, { limit: 4 });
    expect(events.map(({ action }) => action)).toEqual([
      'credential resealed',
      'node evicted',
      'keys changed',
      'node enrolled',
    ]);
    await verifyAuditChain(after.database.queries);

    const fresh = await createBackup(context, after, { kind: 'manual' });
    expect(fresh).toMatchObject({ sequence: 2, newChunks: fresh.totalChunks, clusterKey: change.clusterKey });
    const onSecond = await tendKeys(context, second, await reopen(context, second));
    expect(onSecond.keyring.sealedGeneration).toBe(2);
    const catalog = await readCatalog(second.store, onSecond.keyring);
    expect(catalog.rejected).toEqual([]);
    expect(catalog.backups.map(({ entry }) => [entry.id, entry.authentic, entry.verified !== null])).toEqual([
      [fresh.id, true, true],
      [old.id, true, true],
    ]);
    const restored = await restoreInto(context, host, { backup: old.id });
    expect((await readSetting(restored.database.queries, restored.keyring, 'smtp'))?.secret).toEqual(secret);
    expect((await listNodes(restored.database.queries)).map(({ status }) => status)).toEqual([
      'PROVISIONED',
      'PROVISIONED',
      'DEACTIVATED',
    ]);

    await enrol(host, third);
    const joined = await reopen(context, third);
    expect(joined.keyring).toMatchObject({ isMember: true, keyGeneration: 2, sealedGeneration: 2 });
    expect(joined.keyring.nodeId).not.toBe(plan.node.nodeId);
    await createBackup(context, joined, { kind: 'manual' });
  });
});

describe('keys that were rotated twice', () => {
  it('open backups of every epoch on an empty machine, which can back up again', async () => {
    const { context, host, cluster } = await makeCluster();
    await addUsers(cluster.database, 20);
    const ids = [(await createBackup(context, cluster, { kind: 'manual' })).id];
    for (const generation of [2, 3]) {
      const change = await rotateKeys(context, host, await reopen(context, host));
      expect(change).toMatchObject({ keyGeneration: generation, epoch: generation, waitingFor: [] });
      ids.push((await createBackup(context, await reopen(context, host), { kind: 'manual' })).id);
    }
    const wanted = await dumpDatabase(cluster.database);
    const empty = await makeHost({ directory: host.directory, liveName: freshDatabaseName() });
    for (const id of ids) await restore(makeContext(), empty, { ...confirmed, backup: id });
    const restored = await reopen(context, empty);
    const { users } = await dumpDatabase(restored.database);
    expect(users).toEqual(wanted['users']);
    expect(restored.keyring).toMatchObject({ keyGeneration: 3, epochs: [1, 2, 3] });
    await expect(createBackup(context, restored, { kind: 'manual' })).resolves.toMatchObject({ kind: 'manual' });
  });
});
