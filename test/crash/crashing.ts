import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { DirectoryStore } from '#adapters/filesystem/directory-store.ts';
import { createSoftwareSealing } from '#adapters/software/software-sealing.ts';
import { systemClock } from '#adapters/system/clock.ts';
import { systemRandomness } from '#adapters/system/randomness.ts';
import { crashPoints, type CrashPoint } from '#model/crash-point.ts';
import { openRepository } from '#operations/open-repository.ts';
import { readCatalog } from '#operations/read-catalog.ts';
import { verifyBackups } from '#operations/verify-backup.ts';
import { appendAuditEvents } from '#store/audit.ts';
import { runCommand, runJson, startCommand, type CommandOptions } from '../fixtures/command.ts';
import { withDatabaseOf } from '../fixtures/data-directory.ts';
import { dumpDatabase } from '../fixtures/dump.ts';
import { makeContext, temporaryDirectory } from '../fixtures/host.ts';

export type Dump = Record<string, string[]>;

export interface ListedBackup {
  readonly id: string;
  readonly kind: string;
  readonly sequence: number;
}

export const pointsOf = (operation: string): CrashPoint[] =>
  crashPoints.filter((point) => point.startsWith(`${operation}.`));

/** Whether a process killed at `point` had got as far as `step` of the same operation. */
export const reached = (point: CrashPoint, step: CrashPoint): boolean =>
  crashPoints.indexOf(point) >= crashPoints.indexOf(step);

const withoutDrill = { ENCLAVE_MANAGER_DRILL_SCHEDULE: '' };

/** Each test starts the program several times, on machines that are busy with other tests. */
export const crashTestMs = 240_000;

/** Kills the process at the point, and proves that it was reached and that nothing else ended it. */
export async function crash(args: readonly string[], place: string | CommandOptions, point: CrashPoint): Promise<void> {
  const reachedFile = join(temporaryDirectory(), 'reached');
  const given = typeof place === 'string' ? { dataDirectory: place, env: withoutDrill } : place;
  const env = {
    ...given.env,
    ENCLAVE_MANAGER_TEST_KILL_AT: point,
    ENCLAVE_MANAGER_TEST_REACHED_FILE: reachedFile,
  };
  const result = await runCommand(args, { ...given, env });
  expect(result, `${result.stdout}${result.stderr}`).toMatchObject({ signal: 'SIGKILL' });
  expect(readFileSync(reachedFile, 'utf8').trim().split('\n')).toContain(point);
}

/** Starts the manager, waits until it is up, works beside it, and stops it. */
export async function serveWhile(dataDirectory: string, work: () => Promise<void> = async () => {}): Promise<void> {
  const serve = startCommand(['serve'], { dataDirectory, env: withoutDrill });
  await serve.saw(/Stop with Ctrl-C/);
  try {
    await work();
  } finally {
    serve.child.kill('SIGTERM');
    await serve.ended;
  }
  expect(await serve.ended).toMatchObject({ exitCode: 0 });
}

export async function listBackups(dataDirectory: string): Promise<ListedBackup[]> {
  return (await runJson(['backup', 'list'], { dataDirectory })) as ListedBackup[];
}

/** The first promise: what is listed can be restored. */
export async function expectRestorable(dataDirectory: string, id: string): Promise<void> {
  const drill = await runCommand(['backup', 'drill', id], { dataDirectory });
  expect(drill.exitCode, drill.stderr).toBe(0);
}

/** The same for every backup that is listed, by reading all of its chunks: much faster than a drill. Resolves with their number. */
export async function expectAllReadable(dataDirectory: string): Promise<number> {
  const keyFile = join(dataDirectory, 'keys', 'host.key');
  const sealing = createSoftwareSealing({ keyFile, keyExpected: true, randomness: systemRandomness });
  const repository = await openRepository(new DirectoryStore(join(dataDirectory, 'backups')), sealing);
  const { backups, rejected } = await readCatalog(repository.store, repository.keyring);
  expect(rejected).toEqual([]);
  const ids = backups.map(({ entry }) => entry.id);
  expect((await verifyBackups(makeContext(), repository, ids)).bad).toEqual([]);
  return ids.length;
}

export interface Prepared {
  readonly dataDirectory: string;
  readonly backupId: string;
  /** The rows that the backup holds, and those of the live database, which was changed since. */
  readonly backedUp: Dump;
  readonly changed: Dump;
}

/** A stopped manager with a backup and changes since. */
export async function prepare(): Promise<Prepared> {
  const dataDirectory = join(temporaryDirectory(), 'data');
  await serveWhile(dataDirectory);
  const backedUp = await change(dataDirectory, 'before the backup');
  const { id: backupId } = (await runJson(['backup', 'create'], { dataDirectory })) as ListedBackup;
  const changed = await change(dataDirectory, 'after the backup');
  expect(changed).not.toEqual(backedUp);
  return { dataDirectory, backupId, backedUp, changed };
}

export async function change(dataDirectory: string, name: string): Promise<Dump> {
  return await withDatabaseOf(dataDirectory, async (database) => {
    await database.runScript(`INSERT INTO settings (name, value, updated_at) VALUES ('${name}', '1', now())`);
    await database.transaction(async (queries) => {
      const event = { type: 'ADMIN' as const, action: name, actor: 'somebody', subject: name, details: {} };
      await appendAuditEvents(queries, [event], { clock: systemClock, randomness: systemRandomness });
    });
    return await dumpDatabase(database);
  });
}
