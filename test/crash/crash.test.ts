import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '#adapters/system/clock.ts';
import { systemRandomness } from '#adapters/system/randomness.ts';
import { crashPoints, type CrashPoint } from '#model/crash-point.ts';
import { stagingPrefix } from '#model/restore-names.ts';
import { appendAuditEvents } from '#store/audit.ts';
import { runCommand, runJson, startCommand, type CommandResult } from '../fixtures/command.ts';
import { copyDataDirectory, withDatabaseOf } from '../fixtures/data-directory.ts';
import { dumpDatabase } from '../fixtures/dump.ts';
import { temporaryDirectory } from '../fixtures/host.ts';

interface Listed {
  readonly id: string;
  readonly kind: string;
  readonly sequence: number;
}

const scheduled = { ENCLAVE_MANAGER_DRILL_SCHEDULE: '' };

/** Kills the process at the point, and proves that it was reached and that nothing else ended it. */
async function crash(args: readonly string[], dataDirectory: string, point: CrashPoint): Promise<CommandResult> {
  const reachedFile = join(temporaryDirectory(), 'reached');
  const env = { ...scheduled, ENCLAVE_MANAGER_TEST_KILL_AT: point, ENCLAVE_MANAGER_TEST_REACHED_FILE: reachedFile };
  const result = await runCommand(args, { dataDirectory, env });
  expect(result, `${result.stdout}${result.stderr}`).toMatchObject({ signal: 'SIGKILL' });
  expect(readFileSync(reachedFile, 'utf8').trim().split('\n')).toContain(point);
  return result;
}

async function serveOnce(dataDirectory: string): Promise<void> {
  const serve = startCommand(['serve'], { dataDirectory, env: scheduled });
  await serve.saw(/Stop with Ctrl-C/);
  serve.child.kill('SIGTERM');
  expect(await serve.ended).toMatchObject({ exitCode: 0 });
}

const list = async (dataDirectory: string): Promise<Listed[]> => (await runJson(['backup', 'list'], { dataDirectory })) as Listed[];

/** Promise 1: what is listed can be restored. */
async function drillEvery(dataDirectory: string): Promise<Listed[]> {
  const listed = await list(dataDirectory);
  for (const { id } of listed) {
    const drill = await runCommand(['backup', 'drill', id], { dataDirectory });
    expect(drill.exitCode, drill.stderr).toBe(0);
  }
  return listed;
}

const setting = (name: string): string => `INSERT INTO settings (name, value, updated_at) VALUES ('${name}', '1', now())`;

async function change(dataDirectory: string, name: string): Promise<Record<string, string[]>> {
  return await withDatabaseOf(dataDirectory, async (database) => {
    await database.runScript(setting(name));
    await database.transaction(async (queries) => {
      const event = { type: 'ADMIN' as const, action: name, actor: 'somebody', subject: name, details: {} };
      await appendAuditEvents(queries, [event], { clock: systemClock, randomness: systemRandomness });
    });
    return await dumpDatabase(database);
  });
}

let base: string;
let backedUp: Record<string, string[]>;
let changed: Record<string, string[]>;
let backupId: string;

beforeAll(async () => {
  base = join(temporaryDirectory(), 'data');
  await serveOnce(base);
  backedUp = await change(base, 'before the backup');
  backupId = ((await runJson(['backup', 'create'], { dataDirectory: base })) as Listed).id;
  changed = await change(base, 'after the backup');
  expect(changed).not.toEqual(backedUp);
});

const pointsOf = (operation: string): CrashPoint[] => crashPoints.filter((point) => point.startsWith(`${operation}.`));

it('tests every registered point', () => {
  const tested = ['create-cluster', 'backup', 'restore'].flatMap(pointsOf);
  expect(tested).toEqual([...crashPoints]);
});

describe('a process killed while it creates the cluster', () => {
  it.each(pointsOf('create-cluster'))('goes on after %s with the same cluster and a proved backup', async (point) => {
    const dataDirectory = join(temporaryDirectory(), 'data');
    await crash(['serve'], dataDirectory, point);

    await serveOnce(dataDirectory);

    expect(await drillEvery(dataDirectory)).toHaveLength(1);
    await withDatabaseOf(dataDirectory, async (database) => {
      expect((await dumpDatabase(database))['key_epochs']).toHaveLength(1);
    });
  });
});

describe('a process killed while it takes a backup', () => {
  it.each(pointsOf('backup'))('lists nothing after %s that does not restore, and the next backup works', async (point) => {
    const dataDirectory = copyDataDirectory(base);
    const before = await list(dataDirectory);
    await crash(['backup', 'create'], dataDirectory, point);

    const committed = pointsOf('backup').indexOf(point) >= pointsOf('backup').indexOf('backup.manifest-written');
    const after = await list(dataDirectory);
    expect(after).toHaveLength(before.length + (committed ? 1 : 0));
    await runJson(['backup', 'create'], { dataDirectory });

    const [newest] = await list(dataDirectory);
    expect(newest).toMatchObject({ sequence: after[0]!.sequence + 1 });
    expect((await runCommand(['backup', 'drill', after[0]!.id], { dataDirectory })).exitCode).toBe(0);
    expect(await withDatabaseOf(dataDirectory, dumpDatabase)).toEqual(changed);
  });
});

describe('a process killed while it restores', () => {
  it.each(pointsOf('restore'))('leaves the old or the new database whole after %s, and the next restore works', async (point) => {
    const dataDirectory = copyDataDirectory(base);
    await crash(['restore', 'run', backupId, '--yes'], dataDirectory, point);

    const swapped = pointsOf('restore').indexOf(point) >= pointsOf('restore').indexOf('restore.swapped');
    expect(await withDatabaseOf(dataDirectory, dumpDatabase)).toEqual(swapped ? backedUp : changed);
    await serveOnce(dataDirectory);
    await runJson(['restore', 'run', backupId, '--yes'], { dataDirectory });
    expect((await runCommand(['restore', 'cleanup', '--yes'], { dataDirectory })).exitCode).toBe(0);

    await withDatabaseOf(dataDirectory, async (database, server) => {
      expect(await dumpDatabase(database)).toEqual(backedUp);
      expect(await server.databaseNames(stagingPrefix(server.liveName))).toEqual([]);
    });
    const [newest] = (await list(dataDirectory)).filter(({ kind }) => kind !== 'safety');
    expect(newest).toMatchObject({ id: backupId });
  });
});
