import { sql } from 'kysely';
import { beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { leftDatabases } from '#operations/clean-up-restore.ts';
import { inviteNode, enrolNode } from '#operations/enrol-node.ts';
import { openCluster } from '#operations/open-cluster.ts';
import { isEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { listAuditEvents, readAuditHead } from '#store/audit.ts';
import { readMaintenance } from '#store/maintenance.ts';
import { readRestore } from '#store/restores.ts';
import { liveServers } from '#store/servers.ts';
import type { Queries } from '#store/tables.ts';
import { runCommand, runJson, startCommand } from '../fixtures/command.ts';
import { debianUnavailable } from '../fixtures/debian-postgresql.ts';
import { makeContext } from '../fixtures/host.ts';
import {
  copyPlace,
  dumpLive,
  preparePlace,
  sharedHost,
  untilStopped,
  type PreparedPlace,
  type SharedHost,
} from '../fixtures/shared-cluster.ts';
import { serveOn } from '../fixtures/watched-server.ts';

vi.setConfig({ testTimeout: 240_000, hookTimeout: 120_000 });

interface Restored {
  readonly restoreId: string;
  readonly beforeDatabase: string;
}

let prepared: PreparedPlace;

beforeEach((context) => {
  if (debianUnavailable !== undefined) context.skip(debianUnavailable);
});

beforeAll(async () => {
  if (debianUnavailable === undefined) prepared = await preparePlace();
});

async function hosts(): Promise<readonly [SharedHost, SharedHost, SharedHost]> {
  const place = await copyPlace(prepared);
  return [await sharedHost(place, 'host-a'), await sharedHost(place, 'host-b'), await sharedHost(place, 'host-c')];
}

async function within<T>(host: SharedHost, name: string, work: (queries: Queries) => Promise<T>): Promise<T> {
  const database = host.server.open(name, { connections: 1 });
  try {
    return await work(database.queries);
  } finally {
    await database.close();
  }
}

const inLive = <T>(host: SharedHost, work: (queries: Queries) => Promise<T>): Promise<T> =>
  within(host, host.server.liveName, work);

const ascending = (a: number, b: number): number => a - b;

const processIds = (host: SharedHost): Promise<number[]> =>
  inLive(host, async (queries) => (await liveServers(queries)).map(({ processId }) => processId).toSorted(ascending));

/** The replaced database ends with what was in it when the servers had paused. */
async function expectNothingWrittenSince(host: SharedHost, { restoreId, beforeDatabase }: Restored): Promise<void> {
  const record = await inLive(host, (queries) => readRestore(queries, restoreId));
  expect(await within(host, beforeDatabase, readAuditHead)).toEqual(record?.replacedAudit);
}

const restoreArgs = (): string[] => ['restore', 'run', prepared.backupId, '--yes'];

describe('servers of several hosts on one database', () => {
  it('pause for a restore by a third process, and serve the restored data afterwards by themselves', async () => {
    const [first, second, third] = await hosts();
    const servers = [await serveOn(first), await serveOn(second)];
    const invited: string[] = [];
    const refused: unknown[] = [];
    let over = false;
    const inviting = (async () => {
      const cluster = await openCluster(makeContext(), second);
      while (!over) {
        await inviteNode(makeContext(), cluster).then(
          ({ inviteId }) => invited.push(inviteId),
          (error: unknown) => refused.push(error),
        );
      }
      await cluster.database.close();
    })();

    const restored = (await runJson(restoreArgs(), first.options)) as Restored;
    over = true;
    await inviting;
    for (const server of servers) await server.untilReady();

    for (const server of servers) {
      expect(server.answers[0]).toMatchObject({ status: 200 });
      expect(
        server.answers
          .slice(1)
          .filter(({ status }) => status !== 200)
          .map(({ retryAfter }) => retryAfter),
      ).toContain('2');
      await server.saw(/paused for a restore by restore run on/);
      await server.saw(/another database serves now: incarnation 2/);
    }
    expect(await dumpLive(first)).toEqual(prepared.backedUp);
    expect(await processIds(first)).toEqual(servers.map(({ pid }) => pid).toSorted(ascending));
    // Others wrote all the time: what was accepted is in one database or the other, and nothing came after the pause.
    await expectNothingWrittenSince(first, restored);
    const told = async (name: string): Promise<(string | null)[]> =>
      (await within(first, name, (queries) => listAuditEvents(queries, { type: 'NODE_STATUS', limit: 1000 }))).map(
        ({ subject }) => subject,
      );
    const recorded = new Set([...(await told(restored.beforeDatabase)), ...(await told(first.server.liveName))]);
    expect(invited.filter((id) => !recorded.has(id))).toEqual([]);
    const codes = new Set(refused.map((error) => (isEnclaveManagerError(error) ? error.code : error)));
    expect([...codes].filter((code) => code !== 'database-unreachable')).toEqual(['lease-held']);

    // Whoever of them answers works on the restored database, with its keys.
    const cluster = await openCluster(makeContext(), first);
    const { token } = await inviteNode(makeContext(), cluster);
    await cluster.database.close();
    expect(await enrolNode(makeContext(), third, { token, waitMs: 60_000 })).toMatchObject({
      name: 'host-c',
      epochs: [1],
    });
  });

  it('do not wait for ever for one that stands still, which writes nothing when it comes back', async () => {
    const [first, second, third] = await hosts();
    const stopped = await serveOn(second, { ENCLAVE_MANAGER_TEST_STOP_AT: 'admit.checked' });
    const cluster = await openCluster(makeContext(), first);
    const { token } = await inviteNode(makeContext(), cluster);
    await cluster.database.close();
    const leave = new AbortController();
    const enrolling = enrolNode(makeContext({ signal: leave.signal }), third, { token, waitMs: 120_000 });
    const ended = enrolling.then(
      () => 'enrolled',
      () => 'not enrolled',
    );
    await untilStopped(stopped.pid);
    // It may take longer than a registration lasts until the restore asks who serves.
    await inLive(first, (queries) =>
      sql`UPDATE servers SET expires_at = now() + INTERVAL '60 seconds'`.execute(queries),
    );

    const begunMs = performance.now();
    const running = startCommand(['--json', ...restoreArgs()], first.options);
    await expect.poll(() => inLive(first, readMaintenance), { timeout: 60_000 }).toBeDefined();
    expect(await processIds(first)).toEqual([stopped.pid]);
    const result = await running.ended;
    expect(result.exitCode, result.stderr).toBe(0);
    // It was waited for until its registration had run out, and only then given up.
    expect(performance.now() - begunMs).toBeGreaterThan(5_000);
    const restored = JSON.parse(result.stdout) as Restored;
    const before = await dumpLive(first);
    const keyring = async (): Promise<string[]> => {
      const keys: string[] = [];
      for await (const { key } of first.store.list('keyring/')) keys.push(key);
      return keys;
    };
    const keyringBefore = await keyring();

    process.kill(stopped.pid, 'SIGCONT');
    await stopped.untilReady();
    expect(await processIds(first)).toEqual([stopped.pid]);
    await stopped.saw(/another database serves now: incarnation 2/);

    leave.abort();
    expect(await ended).toBe('not enrolled');
    expect(await dumpLive(first)).toEqual(before);
    expect(before).toEqual(prepared.backedUp);
    expect(await keyring()).toEqual(keyringBefore);
    await expectNothingWrittenSince(first, restored);
  });
});

describe('a server that starts while another process restores', () => {
  it('waits before it writes anything, and serves the restored data', async () => {
    const [first, second] = await hosts();
    const env = { ...first.options.env, ENCLAVE_MANAGER_TEST_STOP_AT: 'restore.prepared' };
    const restoring = startCommand(['--json', ...restoreArgs()], { ...first.options, env });
    await untilStopped(restoring.child.pid!);

    const serving = startCommand(['serve'], second.options);
    onTestFinished(() => void serving.child.kill('SIGKILL'));
    await serving.saw(/paused for a restore by restore run on/);
    process.kill(restoring.child.pid!, 'SIGCONT');
    const ended = await restoring.ended;
    expect(ended.exitCode, ended.stderr).toBe(0);
    await serving.saw(/Stop with Ctrl-C/);

    expect(await processIds(first)).toEqual([serving.child.pid]);
    expect(await dumpLive(first)).toEqual(prepared.backedUp);
    await expectNothingWrittenSince(first, JSON.parse(ended.stdout) as Restored);
  });
});

describe('two restores at once', () => {
  it('are one: the other hears 13 and leaves nothing behind, and nor does a cleanup get in between', async () => {
    const [first, second] = await hosts();
    const { options } = first;
    const env = { ...options.env, ENCLAVE_MANAGER_TEST_STOP_AT: 'restore.chunk-loaded' };
    const one = startCommand(restoreArgs(), { ...options, env });
    await untilStopped(one.child.pid!);
    const during = await leftDatabases(first.server);
    expect(during).toMatchObject([{ role: 'staging' }]);

    const two = await runCommand(restoreArgs(), second.options);
    expect([two.exitCode, two.stderr]).toEqual([13, expect.stringContaining('restore run on')]);
    const cleanup = await runCommand(['restore', 'cleanup', '--yes'], second.options);
    expect([cleanup.exitCode, cleanup.stderr]).toEqual([13, expect.stringContaining('restore run on')]);
    expect((await leftDatabases(first.server)).map(({ name }) => name)).toEqual(during.map(({ name }) => name));

    process.kill(one.child.pid!, 'SIGCONT');
    const ended = await one.ended;
    expect(ended.exitCode, ended.stderr).toBe(0);
    expect(await dumpLive(first)).toEqual(prepared.backedUp);
    expect(await leftDatabases(first.server)).toMatchObject([{ role: 'before' }]);
  });

  it('where there is no database yet, end with the one that was first, whole', async () => {
    const [first, second] = await hosts();
    await first.server.dropDatabase(first.server.liveName);
    const { options } = first;
    const env = { ...options.env, ENCLAVE_MANAGER_TEST_STOP_AT: 'restore.swapping' };
    const slow = startCommand(restoreArgs(), { ...options, env });
    await untilStopped(slow.child.pid!);
    const quick = await runCommand(restoreArgs(), second.options);
    expect(quick.exitCode, quick.stderr).toBe(0);
    const identity = await first.server.databaseIdentity(first.server.liveName);

    process.kill(slow.child.pid!, 'SIGCONT');
    const ended = await slow.ended;
    expect([ended.exitCode, ended.stderr]).toEqual([13, expect.stringContaining('is no longer the one')]);
    expect(await first.server.databaseIdentity(first.server.liveName)).toBe(identity);
    expect(await dumpLive(first)).toEqual(prepared.backedUp);
    expect(await leftDatabases(first.server)).toEqual([]);
  });
});

describe('restore rollback on another host than the restore', () => {
  it('says what was written since, as text and as JSON, and does nothing without being told', async () => {
    const [first, second] = await hosts();
    await runJson(restoreArgs(), first.options);
    await inLive(first, async (queries) => {
      await sql`DELETE FROM users WHERE email = 'user-1@before-the-backup.example.org'`.execute(queries);
    });
    const cluster = await openCluster(makeContext(), first);
    await inviteNode(makeContext({ holder: 'somebody' }), cluster);
    await cluster.database.close();
    const rows = await dumpLive(first);

    const asked = await runCommand(['restore', 'rollback'], second.options);
    expect(asked).toMatchObject({ exitCode: 2, stdout: '' });
    expect(asked.stderr).toMatch(/users: 0 rows written, 1 changed or deleted; 19 now, 40 after the rollback/);
    expect(asked.stderr).toMatch(/Discards 1 audit event since then:\n {2}- .* node invited .*, by somebody/);
    expect(await dumpLive(first)).toEqual(rows);

    expect(await runJson(['restore', 'rollback', '--yes'], second.options)).toMatchObject({
      undoes: 'restore',
      discardedAuditEvents: 1,
      newestAuditEvents: [{ action: 'node invited', actor: 'somebody' }],
      discarded: [{ table: 'users', written: 0, removed: 1, rowsNow: 19, rowsBefore: 40 }],
      incarnation: { number: 3 },
    });
    expect(await dumpLive(first)).toEqual(prepared.changed);
  });
});
