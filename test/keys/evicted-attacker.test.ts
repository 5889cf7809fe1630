import { createHash } from 'node:crypto';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { sealChunk } from '#format/chunk.ts';
import { chunkObjectPath, manifestPath, verificationPath } from '#format/layout.ts';
import { encodeVerification } from '#format/verification.ts';
import { newInvite, newJoinRequest } from '#keys/enrolment.ts';
import type { OpenedKeyring } from '#keys/keyring.ts';
import { formatToken, parseToken } from '#keys/join-token.ts';
import { keyringPath } from '#keys/keyring-paths.ts';
import { sealColumn } from '#keys/sealed-column.ts';
import { timedId, uuidv7 } from '#model/identifiers.ts';
import { createBackup, type BackupResult } from '#operations/create-backup.ts';
import type { Cluster } from '#operations/context.ts';
import { evictNode } from '#operations/evict-node.ts';
import { openCluster, openOrCreateCluster } from '#operations/open-cluster.ts';
import { openRepository } from '#operations/open-repository.ts';
import { planEviction } from '#operations/plan-key-change.ts';
import { readCatalog } from '#operations/read-catalog.ts';
import { readManifest } from '#operations/read-manifest.ts';
import { restore } from '#operations/restore.ts';
import { rotateKeys } from '#operations/rotate-keys.ts';
import { tendKeys } from '#operations/tend-keys.ts';
import { readCaKey } from '#store/ca-keys.ts';
import { readJoinRequest, submitJoinRequest } from '#store/join-requests.ts';
import { tablesOf } from '#store/tables.ts';
import { makeCluster } from '../fixtures/cluster.ts';
import { makeContext, makeHost, type TestHost } from '../fixtures/host.ts';
import { admit, enrolHosts } from '../fixtures/hosts.ts';
import { freshDatabaseName } from '../fixtures/postgresql.ts';
import { objectFile, objectsOfTable } from '../fixtures/repository.ts';
import { confirmed, reopen, restoreInto } from '../fixtures/restoring.ts';
import { addUsers } from '../fixtures/rows.ts';

/**
 * host-c is evicted by host-a while host-b is switched off. It has its old disk with its keys, which its program opened
 * before, and may read and write every byte of repository and database.
 */
describe('the host that was evicted', () => {
  const context = makeContext();
  let [host, second, third]: TestHost[] = [];
  let evicted: OpenedKeyring;
  let cluster: Cluster;
  let [old, fresh]: BackupResult[] = [];

  beforeAll(async () => {
    host = await makeHost();
    const { cluster: created } = await openOrCreateCluster(context, host);
    await addUsers(created.database, 50);
    [second, third] = await enrolHosts(host, ['host-b', 'host-c']);
    const before = await openCluster(context, host);
    old = await createBackup(context, before, { kind: 'manual' });
    const onThird = await openCluster(context, third!);
    evicted = onThird.keyring;
    await onThird.database.close();
    await evictNode(context, host, before, (await planEviction(before, 'host-c')).node);
    await before.database.close();
    await created.database.close();
    cluster = await openCluster(context, host);
    fresh = await createBackup(context, cluster, { kind: 'manual' });
  }, 240_000);

  const plant = (key: string, bytes: Uint8Array): void => {
    const file = objectFile(host!, key);
    rmSync(file, { force: true });
    writeFileSync(file, bytes);
  };

  it('opens nothing that was made after', async () => {
    await expect(readManifest(host!.store, evicted, fresh!.id)).rejects.toMatchObject({ exitCode: 20 });
    const now = await tryOpen(third!);
    expect(now.isMember).toBe(false);
    expect(() => now.currentEpoch).toThrow(expect.objectContaining({ code: 'no-key', exitCode: 21 }));
    await expect(readManifest(host!.store, now, fresh!.id)).rejects.toMatchObject({ code: 'no-key', exitCode: 21 });
    expect(() => now.sign('manifest', {})).toThrow(expect.objectContaining({ code: 'not-permitted', exitCode: 40 }));
    await expect(openCluster(context, third!)).rejects.toMatchObject({ code: 'not-permitted', exitCode: 40 });
    await expect(createBackup(context, { ...cluster, keyring: evicted }, { kind: 'manual' })).rejects.toMatchObject({
      code: 'lease-held',
      message: expect.stringContaining('the keys of the cluster were changed'),
    });
    expect((await readCatalog(host!.store, cluster.keyring)).backups.map(({ entry }) => entry.id)).toEqual([
      fresh!.id,
      old!.id,
    ]);
  });

  it('replaces no old manifest, and has its verification counted nowhere', async () => {
    const file = objectFile(host!, manifestPath(old!.id));
    const genuine = readFileSync(file);
    const payload = JSON.parse((JSON.parse(genuine.toString()) as { payload: string }).payload) as object;
    const forged = evicted.sign('manifest', { ...payload, forged: true });
    expect(evicted.verify('manifest', forged)).toMatchObject({ forged: true });
    plant(manifestPath(old!.id), forged);
    const verificationId = timedId(new Date(), Buffer.alloc(6, 1));
    const objects = (await readManifest(host!.store, cluster.keyring, fresh!.id)).objects.map(({ name }) => name);
    const verification = {
      verificationId,
      backups: [fresh!.id],
      level: 'all-chunks' as const,
      at: new Date().toISOString(),
      readingMs: 0,
      nodeId: evicted.nodeId,
      passed: false,
      objects: null,
      bad: objects,
      drill: null,
    };
    plant(verificationPath(verificationId), encodeVerification(evicted, verification));

    const catalog = await readCatalog(host!.store, cluster.keyring);
    expect(catalog.rejected.map(({ path, code }) => [path, code])).toEqual([
      [manifestPath(old!.id), 'forged'],
      [verificationPath(verificationId), 'forged'],
    ]);
    expect(catalog.badObjects).toEqual(new Set());
    expect(catalog.backups.map(({ entry }) => [entry.id, entry.verified !== null])).toEqual([[fresh!.id, true]]);
    await expect(restoreInto(context, host!, { backup: old!.id })).rejects.toMatchObject({ exitCode: 20 });
    plant(manifestPath(old!.id), genuine);
    rmSync(objectFile(host!, verificationPath(verificationId)));
  });

  it('plants no rows in an old backup', async () => {
    const [name] = await objectsOfTable(host!, cluster.keyring, old!.id, 'users');
    const file = objectFile(host!, chunkObjectPath(name!));
    const genuine = readFileSync(file);
    const id = name!.slice(0, 64);
    const rows = Buffer.from(
      `${uuidv7(new Date(), Buffer.alloc(10))}\tmallory@example.org\tMallory\tmanager\tapproved\n`,
    );
    const planted = sealChunk(evicted.epochKeys(1), id, rows, context.randomness);
    plant(chunkObjectPath(name!), planted.bytes);
    plant(chunkObjectPath(planted.objectName), planted.bytes);
    await expect(restoreInto(context, host!, { backup: old!.id })).rejects.toMatchObject({
      code: 'damaged',
      exitCode: 20,
    });
    plant(chunkObjectPath(name!), genuine);
    rmSync(objectFile(host!, chunkObjectPath(planted.objectName)));
    await restoreInto(context, host!, { backup: old!.id });
  });

  it('enrols nobody, neither by signing nor by rows in the database', async () => {
    const members = evicted.sign('members', {
      number: 99,
      previous: null,
      currentEpoch: 1,
      keyGeneration: 1,
      nodes: evicted.membership.nodes,
      createdAt: new Date().toISOString(),
    });
    plant(keyringPath({ type: 'members', number: 99 }), members);
    const opened = await reopen(context, host!);
    expect(opened.keyring.membership.nodes.map(({ name }) => name)).toEqual(['host-a', 'host-b']);
    expect(opened.keyring.rejected.map(({ path }) => path)).toContain('keyring/members/99.json');

    // It knows the column key of epoch 1 and may write rows: an invite of its own making.
    const { joinRequestId } = await inviteItself(cluster, evicted, cluster.keyring);
    await admit(host!);
    expect(await readJoinRequest(cluster.database.queries, joinRequestId)).toMatchObject({
      status: 'REFUSED',
      reason: expect.stringContaining('before the keys of the cluster changed'),
    });
    expect((await reopen(context, host!)).keyring.membership.nodes).toHaveLength(2);
  });

  it('has no secret of its own making taken for one of the cluster, neither read nor sealed anew', async () => {
    const { database, keyring } = cluster;
    const caKeyId = uuidv7(new Date(), Buffer.alloc(10, 1));
    const place = { table: 'ca_keys', column: 'sealed_private_key', key: caKeyId };
    const sealed = sealColumn(evicted.epochKeys(1), place, Buffer.from('a key that it knows'), context.randomness);
    const row = {
      ca_key_id: caKeyId,
      zone: 'z',
      algorithm: 'a',
      certificate: Buffer.from('c'),
      created_at: new Date(),
    };
    await tablesOf(database)
      .insertInto('ca_keys')
      .values({ ...row, sealed_private_key: sealed })
      .execute();
    const message = expect.stringContaining(`ca_keys.sealed_private_key of ${caKeyId} is sealed under epoch 1`);
    const refused = { code: 'forged', exitCode: 20, message };
    await expect(readCaKey(database.queries, keyring, caKeyId)).rejects.toMatchObject(refused);
    await expect(rotateKeys(context, host!, cluster)).rejects.toMatchObject(refused);
    await expect(evictNode(context, host!, cluster, keyring.membership.nodes[1]!)).rejects.toMatchObject(refused);
    expect((await reopen(context, host!)).keyring).toMatchObject({ keyGeneration: 2, epochs: [1, 2] });

    // Rows that look as if they were from before its eviction.
    await tablesOf(database).updateTable('nodes').set({ membership_number: 3 }).execute();
    const notes: string[] = [];
    const noting = makeContext({ progress: { ...context.progress, note: (text) => notes.push(text) } });
    const tended = await tendKeys(noting, host!, await reopen(context, host!));
    expect(notes).toEqual([message]);
    await expect(readCaKey(database.queries, tended.keyring, caKeyId)).rejects.toMatchObject(refused);

    // A backup holds it as it is, and is restored all the same.
    const backup = await createBackup(context, tended, { kind: 'manual' });
    const restored = await restoreInto(noting, host!, { backup: backup.id });
    expect(notes).toEqual([message, message]);
    await expect(readCaKey(restored.database.queries, restored.keyring, caKeyId)).rejects.toMatchObject(refused);
    await tablesOf(database).deleteFrom('ca_keys').where('ca_key_id', '=', caKeyId).execute();
  });

  it('stops a host that has not resealed with keys of its own, until a person names the right ones', async () => {
    const past = [...evicted.documents, { bytes: readFileSync(objectFile(host!, manifestPath(old!.id))) }];
    const acceptedPast = past.map(({ bytes }) => createHash('sha256').update(bytes).digest('hex'));
    const fork = await evicted.newGeneration({ epoch: 7, evicted: [], acceptedPast }, context);
    for (const { path, bytes } of fork) await host!.store.put(path, bytes);

    const undisturbed = await reopen(context, host!);
    expect(undisturbed.keyring).toMatchObject({ fingerprint: fresh!.clusterKey, epochs: [1, 2] });
    await createBackup(context, undisturbed, { kind: 'manual' });
    await expect(openCluster(context, second!)).rejects.toMatchObject({
      code: 'forged',
      exitCode: 20,
      message: expect.stringContaining(fresh!.clusterKey),
      hint: expect.stringContaining('--cluster-key'),
    });
    const empty = await makeHost({
      directory: second!.directory,
      liveName: freshDatabaseName(),
      repository: objectFile(host!, ''),
    });
    await expect(restore(context, empty, confirmed)).rejects.toMatchObject({ code: 'forged', exitCode: 20 });
    const trust = { confirmed: false, clusterKey: fresh!.clusterKey };
    await restore(context, empty, { ...confirmed, trust });

    const named = await openCluster(context, second!, { clusterKey: fresh!.clusterKey });
    await tendKeys(context, second!, named);
    await named.database.close();
    const resealed = await reopen(context, second!);
    expect(resealed.keyring).toMatchObject({ sealedGeneration: 2, fingerprint: fresh!.clusterKey });
    expect(resealed.keyring.rejected.map(({ path }) => path)).toContain('keyring/epochs/7/epoch.json');
    await createBackup(context, resealed, { kind: 'manual' });
  });
});

describe('the host whose eviction was interrupted', () => {
  it('enrols nobody before another host has finished it', async () => {
    const { context, host } = await makeCluster();
    const [second] = await enrolHosts(host, ['host-b', 'host-c']);
    const opened = await reopen(context, host);
    const evicted = opened.keyring;
    const { node } = await planEviction(opened, 'host-c');
    const killed = makeContext({
      crashPoints: {
        reach: (point) => {
          if (point === 'advance-keys.epoch-written') throw new Error('killed');
        },
      },
    });
    await expect(evictNode(killed, host, opened, node)).rejects.toThrow('killed');

    // It reads the new cluster key, knows the column key of before, and may write rows.
    const { keyring } = await reopen(context, second!);
    expect(keyring).toMatchObject({ keyGeneration: 2, newestEpoch: 2, membership: { currentEpoch: 1 } });
    const { inviteId, joinRequestId } = await inviteItself(opened, evicted, keyring);
    await expect(admit(second!)).rejects.toMatchObject({ code: 'lease-held', exitCode: 13 });

    await tendKeys(context, second!, await reopen(context, second!));
    await admit(second!);
    expect(await readJoinRequest(opened.database.queries, joinRequestId)).toMatchObject({
      inviteId,
      status: 'REFUSED',
      reason: expect.stringContaining('before the keys of the cluster changed'),
    });
    const { membership } = (await reopen(context, second!)).keyring;
    expect(membership.nodes.map(({ name }) => name)).toEqual(['host-a', 'host-b']);
  });
});

/** A host asks to be enrolled under an invite that somebody made with the keys of epoch 1 and a right to write rows. */
async function inviteItself(
  { database }: Pick<Cluster, 'database'>,
  evicted: OpenedKeyring,
  now: OpenedKeyring,
): Promise<{ readonly inviteId: string; readonly joinRequestId: string }> {
  const context = makeContext();
  const { inviteId, token, macKey } = newInvite(evicted, context.randomness);
  const place = { table: 'node_invites', column: 'sealed_mac_key', key: inviteId };
  await tablesOf(database)
    .insertInto('node_invites')
    .values({
      invite_id: inviteId,
      sealed_mac_key: sealColumn(evicted.epochKeys(1), place, macKey, context.randomness),
      created_by: 'somebody',
      created_at: new Date(),
      expires_at: new Date(Date.now() + 3_600_000),
    })
    .execute();
  const { clusterId, keyGeneration, verifyKey: clusterVerifyKey } = now;
  const intruder = await makeHost({ name: 'intruder' });
  await intruder.sealing.provision();
  const input = { ...context, clusterId, keyGeneration, clusterVerifyKey, sealing: intruder.sealing };
  const joining = await newJoinRequest({ ...input, token: tokenFor(now, token) }, intruder.node);
  return { inviteId, joinRequestId: await submitJoinRequest(database.queries, { inviteId, ...joining }, context) };
}

/** The evicted host's own secret, with the fingerprint of the key that everybody can see. */
function tokenFor({ fingerprint }: OpenedKeyring, token: string): string {
  const { secret, inviteId } = parseToken(token);
  return formatToken({ secret, inviteId, fingerprint });
}

async function tryOpen({ sealing, store }: TestHost): Promise<OpenedKeyring> {
  return (await openRepository(store, sealing)).keyring;
}
