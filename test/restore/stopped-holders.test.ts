import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { systemClock } from '#adapters/system/clock.ts';
import type { CrashPoint } from '#model/crash-point.ts';
import { leftDatabases } from '#operations/clean-up-restore.ts';
import { createBackup } from '#operations/create-backup.ts';
import { openCluster } from '#operations/open-cluster.ts';
import { restore } from '#operations/restore.ts';
import { registerServer, type Registration } from '#store/servers.ts';
import { startCommand, type StartedCommand } from '../fixtures/command.ts';
import { debianUnavailable } from '../fixtures/debian-postgresql.ts';
import { makeContext } from '../fixtures/host.ts';
import { withCluster } from '../fixtures/hosts.ts';
import { confirmed } from '../fixtures/restoring.ts';
import {
  copyPlace,
  dumpLive,
  everyRow,
  letExpire,
  nobodyHolds,
  preparePlace,
  sharedHost,
  untilStopped,
  writeRows,
  type Dump,
  type PreparedPlace,
  type SharedHost,
} from '../fixtures/shared-cluster.ts';
import { serveOn, type WatchedServer } from '../fixtures/watched-server.ts';

vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

/** A process that stands still while it holds the lease, and the host that goes on without it. */
interface Stopped {
  readonly started: StartedCommand;
  readonly other: SharedHost;
  readonly repository: string;
  /** Serves beside the restore. */
  readonly server: WatchedServer | undefined;
}

const aServer: Registration = {
  serverId: '018f0000-0000-7000-8000-000000000000',
  nodeId: null,
  host: 'host-b',
  processId: 1,
  address: null,
  productVersion: '0.1.0',
};

interface State {
  /** Every row of the database that a rollback would put back, those of its own bookkeeping as well. */
  readonly replaced: readonly string[];
  readonly identity: string | undefined;
  readonly rows: Dump;
  readonly left: readonly string[];
  readonly manifests: readonly string[];
  readonly keyring: readonly string[];
}

interface Command {
  readonly args: readonly string[];
  readonly point: CrashPoint;
  /** Whether there is a restore to undo or to clean up after. */
  readonly restored: boolean;
  /** Settings of its own; with them, one more backup is there. */
  readonly env?: Readonly<Record<string, string>>;
}

async function stopAt(prepared: PreparedPlace, { args, point, restored, env: more }: Command): Promise<Stopped> {
  const place = await copyPlace(prepared);
  const [holder, other] = [await sharedHost(place, 'host-a'), await sharedHost(place, 'host-b')];
  if (restored) await restore(makeContext(), other, { ...confirmed, backup: prepared.backupId, safetyBackup: false });
  const server = point === 'restore.swapping' ? await serveOn(other) : undefined;
  if (more !== undefined)
    await withCluster(other, async (cluster) => void (await createBackup(makeContext(), cluster, { kind: 'manual' })));
  const env = { ...holder.options.env, ...more, ENCLAVE_MANAGER_TEST_STOP_AT: point };
  const started = startCommand(args, { ...holder.options, env, runMs: 290_000 });
  onTestFinished(() => void started.child.kill('SIGKILL'));
  await untilStopped(started.child.pid!);
  return { started, other, repository: place.repository, server };
}

async function stateOf({ other, repository }: Stopped): Promise<State> {
  const left = (await leftDatabases(other.server)).filter(({ role }) => role === 'before').map(({ name }) => name);
  return {
    replaced: (await Promise.all(left.map((name) => everyRow(other, name)))).flat(),
    identity: await other.server.databaseIdentity(other.server.liveName),
    rows: await dumpLive(other),
    left,
    manifests: readdirSync(join(repository, 'backups')).toSorted(),
    keyring: readdirSync(join(repository, 'keyring'), { recursive: true, encoding: 'utf8' }).toSorted(),
  };
}

/** Another host works in the meantime: rows are written, and somebody else has the lease. */
async function goOnWithout({ other }: Stopped): Promise<void> {
  await expect.poll(() => nobodyHolds(other), { timeout: 90_000, interval: 500 }).toBe(true);
  const cluster = await openCluster(makeContext(), other);
  await writeRows(cluster.database, 'while it stood still');
  await createBackup(makeContext(), cluster, { kind: 'manual' });
  await cluster.database.close();
}

/** Only then is the process sent on, and everything must stay as it is. */
async function expectNothingDone(each: Stopped, { args, restored }: Command): Promise<void> {
  const before = await stateOf(each);
  expect(before.replaced.length > 0).toBe(restored);
  process.kill(each.started.child.pid!, 'SIGCONT');
  const { exitCode, stderr } = await each.started.ended;
  expect(exitCode, `${args.join(' ')}: ${stderr}`).toBe(13);
  expect(await stateOf(each), args.join(' ')).toEqual(before);
  expect((await leftDatabases(each.other.server)).filter(({ role }) => role === 'staging')).toEqual([]);
}

describe('a process that stood still until its lease was over', () => {
  beforeEach((context) => {
    if (debianUnavailable !== undefined) context.skip(debianUnavailable);
  });

  it('writes nothing when it goes on, whatever it was doing; the servers went on without it', async () => {
    const prepared = await preparePlace();
    const commands: Command[] = [
      { args: ['restore', 'run', prepared.backupId, '--yes'], point: 'restore.swapping', restored: false },
      { args: ['restore', 'rollback', '--yes'], point: 'rollback.swapping', restored: true },
      { args: ['restore', 'cleanup', '--yes'], point: 'cleanup.dropping', restored: true },
      { args: ['backup', 'create'], point: 'backup.confirmed', restored: false },
      {
        args: ['backup', 'prune', '--yes'],
        point: 'prune.readings-kept',
        restored: false,
        env: { ENCLAVE_MANAGER_KEEP_LAST: '1' },
      },
      { args: ['keys', 'rotate', '--yes'], point: 'advance-keys.committing', restored: false },
      { args: ['node', 'evict', 'host-b', '--yes'], point: 'advance-keys.committing', restored: false },
    ];
    const all = [await stopAt(prepared, commands[0]!)];
    // Paused by a process that cannot tell it to go on. It will not wait until all the others stand still as well.
    const { server } = all[0]!;
    await expect.poll(() => server?.answers.map(({ status }) => status)).toEqual([200, 503]);
    for (const command of commands.slice(1)) all.push(await stopAt(prepared, command));

    // All wait for the same half minute.
    for (const each of all) await goOnWithout(each);
    await server?.untilReady();
    for (const [index, each] of all.entries()) await expectNothingDone(each, commands[index]!);
  });

  it('writes nothing into the database that a rollback would put back, wherever in that it stood still', async () => {
    const prepared = await preparePlace();
    const args = ['restore', 'rollback', '--yes'];
    // Before it writes, before its last look at the lease, and between that and the commit.
    const points = ['rollback.fenced', 'rollback.written', 'rollback.committing'] as const;
    const commands = points.map((point): Command => ({ args, point, restored: true }));
    const all: Stopped[] = [];
    for (const command of commands) all.push(await stopAt(prepared, command));
    for (const each of all) await goOnWithout(each);
    for (const [index, each] of all.entries()) await expectNothingDone(each, commands[index]!);
  });

  it('does not wait for ever for servers that went on without it', async () => {
    const prepared = await preparePlace();
    const host = await sharedHost(await copyPlace(prepared), 'host-a');
    const begin = (): Promise<void> =>
      withCluster(host, ({ database }) => registerServer(database.queries, aServer, 600_000));
    await begin();
    let waits = 0;
    const sleep = async (): Promise<void> => {
      waits += 1;
      // As after a minute without it: the pause is over, and the server serves.
      await letExpire(host);
      await begin();
    };
    const context = makeContext({ clock: { ...systemClock, sleep } });
    const restored = restore(context, host, { ...confirmed, backup: prepared.backupId, safetyBackup: false });
    await expect(restored).rejects.toMatchObject({ code: 'lease-held', message: expect.stringContaining('ran out') });
    expect(waits).toBe(1);
    expect(await dumpLive(host)).toEqual(prepared.changed);
  });
});
