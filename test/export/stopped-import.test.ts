import { beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import type { CrashPoint } from '#model/crash-point.ts';
import { createBackup } from '#operations/create-backup.ts';
import { openCluster } from '#operations/open-cluster.ts';
import { listAuditEvents } from '#store/audit.ts';
import { backedUpTables, loadMigrations } from '#store/migrations.ts';
import { listRestores } from '#store/restores.ts';
import { startCommand, type StartedCommand } from '../fixtures/command.ts';
import { debianUnavailable } from '../fixtures/debian-postgresql.ts';
import { exportedSql } from '../fixtures/exporting.ts';
import { makeContext } from '../fixtures/host.ts';
import { withCluster } from '../fixtures/hosts.ts';
import { psql, psqlUnavailable } from '../fixtures/psql.ts';
import {
  copyPlace,
  everyRow,
  nobodyHolds,
  preparePlace,
  sharedHost,
  untilStopped,
  writeRows,
  type PreparedPlace,
  type SharedHost,
} from '../fixtures/shared-cluster.ts';

vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

const isUp = /it is up at (http:\S+)[^]*Stop with Ctrl-C/;

interface Prepared {
  readonly place: PreparedPlace;
  readonly script: Buffer;
  readonly clusterKey: string;
}

interface Stopped {
  readonly started: StartedCommand;
  readonly other: SharedHost;
}

async function prepare(): Promise<Prepared> {
  const place = await preparePlace();
  return await withCluster(await sharedHost(place, 'host-a'), async (cluster) => {
    const { sql: script } = await exportedSql(makeContext(), cluster, place.backupId);
    return { place, script, clusterKey: cluster.keyring.fingerprint };
  });
}

/** An export replayed in place of the live database, and a process that stands still while it makes it serve. */
async function stopAt(
  { place, script }: Prepared,
  args: readonly string[],
  point: CrashPoint,
  { running = false } = {},
): Promise<Stopped> {
  const copy = await copyPlace(place);
  const [holder, other] = [await sharedHost(copy, 'host-a'), await sharedHost(copy, 'host-b')];
  const env = { ...holder.options.env, ENCLAVE_MANAGER_TEST_STOP_AT: point };
  const start = (): StartedCommand => startCommand(args, { ...holder.options, env, runMs: 290_000 });
  const before = running ? start() : undefined;
  await before?.saw(isUp);
  const { server } = other;
  await server.dropDatabase(server.liveName);
  await server.createDatabase(server.liveName);
  const url = holder.options.env!['ENCLAVE_MANAGER_DATABASE_URL']!;
  expect(await psql({ url, database: server.liveName }, script)).toEqual({ exitCode: 0, stderr: '' });
  const started = before ?? start();
  onTestFinished(() => void started.child.kill('SIGKILL'));
  await untilStopped(started.child.pid!);
  return { started, other };
}

/** Another host has the import serve and works with it. */
async function finishWithout({ other }: Stopped): Promise<void> {
  await expect.poll(() => nobodyHolds(other), { timeout: 90_000, interval: 500 }).toBe(true);
  const cluster = await openCluster(makeContext(), other);
  await writeRows(cluster.database, 'while it stood still');
  await createBackup(makeContext(), cluster, { kind: 'manual' });
  expect((await listRestores(cluster.database.queries)).length).toBe(1);
  expect((await listAuditEvents(cluster.database.queries, { type: 'RESTORE' })).length).toBe(1);
  await cluster.database.close();
}

const rowsOf = ({ other }: Stopped, tables?: readonly string[]): Promise<string[]> =>
  everyRow(other, other.server.liveName, tables);

/** The others tell which managers are there. */
const tables = backedUpTables(loadMigrations().length);

describe('a process that stood still in the middle of an import until its lease was over', () => {
  beforeEach((context) => {
    const unavailable = psqlUnavailable ?? debianUnavailable;
    if (unavailable !== undefined) context.skip(unavailable);
  });

  it('writes nothing when it goes on, whether a command, a manager that starts or one that runs', async () => {
    const prepared = await prepare();
    const accept = ['database', 'accept-import', '--yes', '--cluster-key', prepared.clusterKey];
    const ending = [
      await stopAt(prepared, accept, 'import.compared'),
      await stopAt(prepared, accept, 'import.migrated'),
      await stopAt(prepared, ['serve'], 'import.migrated'),
    ];
    const running = [
      await stopAt(prepared, ['serve'], 'import.compared', { running: true }),
      await stopAt(prepared, ['serve'], 'import.migrated', { running: true }),
    ];
    // All wait for the same half minute.
    for (const each of [...ending, ...running]) await finishWithout(each);

    for (const each of ending) {
      const before = await rowsOf(each);
      process.kill(each.started.child.pid!, 'SIGCONT');
      const { exitCode, stderr } = await each.started.ended;
      expect(exitCode, stderr).toBe(13);
      expect(await rowsOf(each)).toEqual(before);
    }
    for (const { started, other } of running) {
      const before = await rowsOf({ started, other }, tables);
      const address = (await started.saw(isUp))[1]!;
      process.kill(started.child.pid!, 'SIGCONT');
      const ask = async (): Promise<number> => (await fetch(`${address}/readyz`)).status;
      await expect.poll(ask, { timeout: 120_000, interval: 200 }).toBe(200);
      started.child.kill('SIGTERM');
      const { exitCode, stderr } = await started.ended;
      expect([exitCode, stderr]).toEqual([0, expect.stringContaining('the lease "operation" was lost')]);
      expect(await rowsOf({ started, other }, tables)).toEqual(before);
    }
  });
});
