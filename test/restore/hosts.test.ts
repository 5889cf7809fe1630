import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { openRowWriter } from '#adapters/postgresql/row-writer.ts';
import { createBackup } from '#operations/create-backup.ts';
import type { Cluster } from '#operations/context.ts';
import { admitJoinRequests } from '#operations/admit-node.ts';
import { enrolNode, inviteNode } from '#operations/enrol-node.ts';
import { openRepository } from '#operations/open-repository.ts';
import { openOrCreateCluster, type OpenedCluster } from '#operations/open-cluster.ts';
import { readCatalog } from '#operations/read-catalog.ts';
import { restore } from '#operations/restore.ts';
import { formatToken, parseToken } from '#keys/join-token.ts';
import { systemClock } from '#adapters/system/clock.ts';
import { ready } from '#model/readiness.ts';
import { runAdmission } from '#server/admission.ts';
import { Gate } from '#server/gate.ts';
import { listAuditEvents } from '#store/audit.ts';
import { pendingJoinRequests } from '#store/join-requests.ts';
import { acquireLease } from '#store/leases.ts';
import { listNodes } from '#store/nodes.ts';
import { makeCluster } from '../fixtures/cluster.ts';
import { dumpDatabase } from '../fixtures/dump.ts';
import { makeContext, makeHost, type TestHost } from '../fixtures/host.ts';
import { anotherHost } from '../fixtures/hosts.ts';
import { freshDatabaseName } from '../fixtures/postgresql.ts';
import { confirmed, reopen } from '../fixtures/restoring.ts';
import { storeWith } from '../fixtures/repository.ts';
import { addUsers } from '../fixtures/rows.ts';
import { localWorkers } from '../fixtures/workers.ts';

/** Answers join requests as a running manager does, until the enrolment has ended. */
async function enrolBeside(host: TestHost, cluster: Cluster, token: string) {
  let ended = false;
  const answering = (async () => {
    while (!ended) {
      await admitOnce(cluster);
      await makeContext().clock.sleep(50);
    }
  })();
  try {
    return await enrolNode(makeContext(), host, { token, waitMs: 30_000 });
  } finally {
    ended = true;
    await answering;
  }
}

async function admitOnce(cluster: Cluster): Promise<string[]> {
  const request = { name: 'admission', holder: 'test', ttlMs: 30_000 };
  const lease = await acquireLease(cluster.database, request, makeContext());
  try {
    return await admitJoinRequests(makeContext(), cluster, lease);
  } finally {
    await lease.release();
  }
}

/** What `serve` does for enrolment, until the test ends. */
function answerJoins(host: TestHost, { database }: Cluster): { readonly log: readonly string[] } {
  const log: string[] = [];
  const gate = new Gate(systemClock);
  gate.open(ready, Infinity);
  const stop = new AbortController();
  const context = makeContext({ signal: stop.signal });
  const ended = runAdmission(context, { host, database, gate, log: (message) => void log.push(message) });
  onTestFinished(async () => {
    stop.abort();
    await ended;
  });
  return { log };
}

describe('two managers that start on one empty database', () => {
  it('make one cluster, and the other hears what to do', async () => {
    const liveName = freshDatabaseName();
    const hosts = [await makeHost({ name: 'host-a', liveName }), await makeHost({ name: 'host-b', liveName })];

    const outcomes = await Promise.allSettled(hosts.map((host) => openOrCreateCluster(makeContext(), host)));

    expect(outcomes.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
    const winner = outcomes.findIndex(({ status }) => status === 'fulfilled');
    const refusal = outcomes.find((outcome) => outcome.status === 'rejected')?.reason as EnclaveManagerError;
    // Slow enough, it finds the other's cluster instead, which its keys do not open.
    expect(['lease-held', 'no-key']).toContain(refusal.code);
    const { keyring } = await reopen(makeContext(), hosts[winner]!);
    expect(keyring.membership.nodes).toMatchObject([{ name: hosts[winner]!.node.name }]);
    for (const host of hosts) await host.server.close();
  });

  it.each(['the same repository', 'a repository of its own'])(
    'do not take what the other has just created for what is left of a lost cluster, with %s',
    async (which) => {
      const liveName = freshDatabaseName();
      const first = await makeHost({ name: 'host-a', liveName });
      const repository = which === 'the same repository' ? join(first.directory, 'backups') : undefined;
      const second = await makeHost({ name: 'host-b', liveName, ...(repository && { repository }) });
      let created: OpenedCluster | undefined;
      // The second has seen the database empty when it first looks into its repository.
      const inDirectory = second.store;
      const late = storeWith(second.store, {
        list: async function* (prefix) {
          created ??= await openOrCreateCluster(makeContext(), first);
          yield* inDirectory.list(prefix);
        },
      });

      await expect(openOrCreateCluster(makeContext(), { ...second, store: late })).rejects.toMatchObject({
        code: 'no-key',
        hint: expect.stringContaining('node enrol'),
      });

      expect(created?.outcome).toBe('created');
      await created?.cluster.database.close();
      for (const host of [first, second]) await host.server.close();
    },
  );

  it('open what was restored between their two looks', async () => {
    const { context, host, cluster } = await makeCluster();
    await addUsers(cluster.database, 3);
    await createBackup(context, cluster, { kind: 'manual' });
    const rows = await dumpDatabase(cluster.database);
    await cluster.database.close();
    await host.server.dropDatabase(host.server.liveName);
    await host.server.createDatabase(host.server.liveName);
    let restored = false;
    const late = storeWith(host.store, {
      list: async function* (prefix) {
        if (!restored) {
          restored = true;
          await restore(makeContext(), host, confirmed);
        }
        yield* host.store.list(prefix);
      },
    });

    const opened = await openOrCreateCluster(makeContext(), { ...host, store: late });
    onTestFinished(() => opened.cluster.database.close());

    expect([restored, opened.outcome]).toEqual([true, 'opened']);
    expect((await dumpDatabase(opened.cluster.database))['users']).toEqual(rows['users']);
  });
});

describe('two managers that answer at once', () => {
  it('admit each host once, although one of them is slow to write its keys', async () => {
    const { context, host, cluster } = await makeCluster();
    const writing = Promise.withResolvers<void>();
    const gate = Promise.withResolvers<void>();
    const slowStore = storeWith(host.store, {
      put: async (...parameters) => {
        const outcome = await host.store.put(...parameters);
        writing.resolve();
        await gate.promise;
        return outcome;
      },
    });
    const names = ['host-b', 'host-c'];
    const enrolments = [];
    for (const name of names) {
      const { token } = await inviteNode(context, cluster);
      enrolments.push(
        enrolNode(makeContext(), await anotherHost(host, name, 'second-site'), { token, waitMs: 30_000 }),
      );
    }
    await expect.poll(() => pendingJoinRequests(cluster.database.queries)).toHaveLength(2);

    const slow = answerJoins({ ...host, store: slowStore }, cluster);
    await writing.promise;
    const quick = answerJoins(host, cluster);
    await makeContext().clock.sleep(1_500);
    gate.resolve();
    const enrolled = await Promise.all(enrolments);

    expect(enrolled.map(({ name }) => name)).toEqual(names);
    expect([...slow.log, ...quick.log].toSorted()).toEqual(
      enrolled.map(({ nodeId }) => `enrolled node ${nodeId}`).toSorted(),
    );
    const { keyring } = await reopen(context, host);
    expect(keyring.membership.nodes.map(({ name }) => name).toSorted()).toEqual(['host-a', ...names]);
    // Repository and database hold the same bytes, without which neither a start nor a restore would get far.
    const bytesAt = async (path: string) => await host.store.get(path, { maxBytes: 1024 * 1024 });
    for (const { path, bytes } of keyring.documents) expect(await bytesAt(path), path).toEqual(bytes);
  });
});

describe('a second host', () => {
  it('opens backups made before it joined, and restores alone when the first is gone', async () => {
    const { context, host, cluster } = await makeCluster();
    await addUsers(cluster.database, 9);
    const backup = await createBackup(context, cluster, { kind: 'manual' });
    const wanted = await dumpDatabase(cluster.database);
    const second = await anotherHost(host, 'host-b', 'second-site');
    await expect(restore(context, second, confirmed)).rejects.toMatchObject({ code: 'no-key', exitCode: 21 });
    const { token } = await inviteNode(context, cluster);

    const enrolled = await enrolBeside(second, cluster, token);

    expect(enrolled).toMatchObject({
      name: 'host-b',
      clusterId: cluster.keyring.clusterId,
      clusterKey: cluster.keyring.fingerprint,
      epochs: [1],
    });
    expect(await second.localState.read()).toMatchObject({
      nodeId: enrolled.nodeId,
      clusterKey: cluster.keyring.fingerprint,
    });
    const opened = await reopen(context, second);
    expect(opened.keyring.membership).toMatchObject({
      number: 2,
      nodes: [{ name: 'host-a' }, { name: 'host-b', site: 'second-site', grade: 'unattested' }],
    });
    const events = await listAuditEvents(opened.database.queries, { type: 'NODE_STATUS' });
    expect(events.map(({ action, subject }) => [action, subject])).toContainEqual(['node enrolled', enrolled.nodeId]);
    const [entry] = (await readCatalog(second.store, opened.keyring)).backups;
    expect(entry?.entry.openableBy.toSorted()).toEqual([cluster.keyring.nodeId, enrolled.nodeId].toSorted());

    const alone = await makeHost({
      directory: second.directory,
      repository: `${host.directory}/backups`,
      liveName: freshDatabaseName(),
    });
    const result = await restore(makeContext(), alone, confirmed);
    expect(result.backupId).toBe(backup.id);
    const restored = await reopen(context, alone);
    // Keys are of the newest membership, rows of the backup.
    const { credentials, key_slots: slots, memberships, ...rows } = await dumpDatabase(restored.database);
    expect(rows).toEqual(expect.objectContaining({ users: wanted['users'], key_epochs: wanted['key_epochs'] }));
    expect([credentials?.length, slots?.length, memberships?.length]).toEqual([2, 2, 2]);
    await expect(createBackup(makeContext(), restored, { kind: 'manual' })).resolves.toMatchObject({
      sequence: 2,
      clusterKey: enrolled.clusterKey,
    });
  });

  it('that joins while another restores is a node of the restored database, and the keys are opened no more often than that needs', async () => {
    const { context, host, cluster } = await makeCluster();
    await createBackup(context, cluster, { kind: 'manual' });
    const second = await anotherHost(host, 'host-b');
    const { token } = await inviteNode(context, cluster);
    let joined = false;
    const startWorker = localWorkers({
      openWriter: async (connection) => {
        if (!joined) await enrolBeside(second, cluster, token);
        joined = true;
        return await openRowWriter(connection);
      },
    });
    let unsealed = 0;
    const unseal: TestHost['sealing']['unseal'] = async (sealed) => {
      unsealed += 1;
      return await host.sealing.unseal(sealed);
    };
    const watched = { ...host, sealing: { ...host.sealing, unseal } };
    const repository = await openRepository(host.store, watched.sealing);
    expect(unsealed).toBe(1);

    await restore(makeContext({ startWorker }), { ...watched, repository }, confirmed);

    // Once more because of the host that joined, and once from the restored database alone: each tries both credentials.
    expect([joined, unsealed]).toEqual([true, 5]);
    const live = host.server.open(host.server.liveName);
    expect((await listNodes(live.queries)).map(({ name, status }) => [name, status])).toEqual([
      ['host-a', expect.any(String)],
      ['host-b', expect.any(String)],
    ]);
    await live.close();
  });

  it('is refused with a token that was used, that is not from here, or that was mistyped', async () => {
    const { context, host, cluster } = await makeCluster();
    await createBackup(context, cluster, { kind: 'manual' });
    const { token } = await inviteNode(context, cluster);
    await enrolBeside(await anotherHost(host, 'host-b', 'second-site'), cluster, token);
    const opened = await reopen(context, host);
    const late = await anotherHost(host, 'host-c', 'second-site');

    await expect(enrolBeside(late, opened, token)).rejects.toMatchObject({
      code: 'not-permitted',
      exitCode: 40,
      message: expect.stringContaining('was used already'),
    });

    const other = await makeCluster();
    const foreign = await inviteNode(other.context, other.cluster);
    await expect(enrolBeside(late, opened, foreign.token)).rejects.toMatchObject({ code: 'forged' });
    const { inviteId, fingerprint } = parseToken((await inviteNode(context, opened)).token);
    const guessed = formatToken({ inviteId, fingerprint, secret: context.randomness.bytes(32) });
    await expect(enrolBeside(late, opened, guessed)).rejects.toMatchObject({ code: 'not-permitted', exitCode: 40 });
    const mistyped = token.slice(0, -1) + (token.endsWith('0') ? '1' : '0');
    await expect(enrolBeside(late, opened, mistyped)).rejects.toMatchObject({ code: 'usage', exitCode: 2 });

    expect((await reopen(context, host)).keyring.membership.nodes.map(({ name }) => name)).toEqual([
      'host-a',
      'host-b',
    ]);
    expect(await late.localState.read()).toBeUndefined();
    await expect(restore(context, late, confirmed)).rejects.toMatchObject({ code: 'no-key', exitCode: 21 });
  });

  it('is refused under the name of another, joins with the same token under its own, and is told that it keeps it', async () => {
    const { context, host, cluster } = await makeCluster();
    const { token } = await inviteNode(context, cluster);
    const second = await anotherHost(host, 'host-a', 'second-site');
    await expect(enrolBeside(second, cluster, token)).rejects.toMatchObject({
      code: 'not-permitted',
      message: expect.stringContaining(`The name host-a is that of node ${cluster.keyring.nodeId} already`),
      hint: expect.stringMatching(/^Run this again under another name \(--node-name.* the token can still be used/),
    });
    const named = { ...second, node: { ...second.node, name: 'host-b' } };
    expect(await enrolBeside(named, cluster, token)).toMatchObject({ name: 'host-b' });
    const third = await anotherHost(host, 'host-c', 'second-site');
    await expect(enrolBeside(third, cluster, token)).rejects.toMatchObject({
      code: 'not-permitted',
      message: expect.stringContaining('was used already'),
      hint: expect.stringMatching(/^Make a new token on an enrolled host \(enclave-manager node invite\), and enrol/),
    });

    const again = makeContext();
    const renamed = { ...second, node: { name: 'host-z', site: null } };
    expect(await enrolNode(again, renamed, { token, waitMs: 0 })).toMatchObject({ name: 'host-b' });
    expect(again.notes).toEqual([
      'this host is enrolled already, as host-b at site second-site',
      expect.stringContaining('its name and site stay as they are'),
    ]);
  });

  it('is told when no manager answers', async () => {
    const { context, host, cluster } = await makeCluster();
    const { token } = await inviteNode(context, cluster);
    const second = await anotherHost(host, 'host-b', 'second-site');

    await expect(enrolNode(context, second, { token, waitMs: 300 })).rejects.toMatchObject({
      code: 'not-found',
      hint: expect.stringMatching(
        /enrolled host, on this database: enclave-manager serve\. .* the token can still be used/,
      ),
    });

    expect(await second.localState.read()).toBeUndefined();
    // The host may be gone when a manager starts: it is not enrolled behind its back.
    expect(await admitOnce(cluster)).toEqual([]);
    expect(await pendingJoinRequests(cluster.database.queries)).toEqual([]);
  });
});
