import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, describe, expect, it, onTestFinished } from 'vitest';
import { attachEmbedded, holdUsage, postgresDirectory } from '#adapters/embedded-postgresql/attach-embedded.ts';
import { signal } from '#adapters/embedded-postgresql/processes.ts';
import { runCommand, runJson } from '../fixtures/command.ts';
import { temporaryDirectory } from '../fixtures/host.ts';
import { startProgram } from '../fixtures/processes.ts';
import {
  beginStart,
  expectEnd,
  killAll,
  processesOf,
  readState,
  startManager,
  type Manager,
  type State,
} from './manager.ts';

process.env['NODE_COMPILE_CACHE'] = join(temporaryDirectory(), 'compiled');

// One manager after another on one data directory: each finds what the one before has left.
const data = join(temporaryDirectory(), 'data');
let running: Manager | undefined;
let state: State | undefined;

afterAll(() => killAll(data));

/** The manager that the test before left running, or a new one, which finds the same cluster with the same backups. */
async function manager(): Promise<Manager> {
  if (running !== undefined) return running;
  running = await startManager(data);
  expect(running.screen).toContain(state === undefined ? 'created a cluster' : 'found its state');
  const found = await readState(data);
  expect(found.backups).toHaveLength(state?.backups.length ?? 1);
  expect(found).toEqual(state ?? found);
  state = found;
  return running;
}

async function expectEnded(exitCode = 0): Promise<void> {
  const { ...last } = running!;
  running = undefined;
  await expectEnd(last, data, exitCode);
}

/** As a command does that has not ended yet: for two seconds a manager waits with its end for it. */
async function useDatabase(): Promise<void> {
  const connection = attachEmbedded({ directory: postgresDirectory(data), liveName: 'malbork' });
  const hold = await holdUsage(connection!);
  expect(hold).toBeDefined();
  onTestFinished(() => hold?.release());
}

const isUp = async ({ address }: Manager): Promise<boolean> => (await fetch(`${address}/livez`)).status === 200;

describe('a manager', { timeout: 120_000 }, () => {
  it('ends cleanly when npm is told to, and leaves its data directory to the next', async () => {
    const { child } = await manager();
    child.kill('SIGTERM');
    await expectEnded();
    expect(await readState(data)).toEqual(state);
  });

  it('ends cleanly on Ctrl-C, which npm and it both get, pressed twice', async () => {
    const { child } = await manager();
    process.kill(-child.pid!, 'SIGINT');
    process.kill(-child.pid!, 'SIGINT');
    await expectEnded();
  });

  it('ends cleanly without npm as well', async () => {
    running = await startManager(data, 'enclave-manager.mjs serve');
    process.kill(-running.child.pid!, 'SIGINT');
    await expectEnded();
    running = await startManager(data, 'enclave-manager.mjs serve');
    running.child.kill('SIGTERM');
    await expectEnded();
    expect(await readState(data)).toEqual(state);
  });

  const killed: [string, (running: Manager) => number[]][] = [
    ['it', ({ managerId }) => [managerId]],
    ['its database', ({ postmasterId }) => [postmasterId]],
    ['it and its database', ({ managerId, postmasterId }) => [managerId, postmasterId]],
    ['npm', ({ child }) => [child.pid!]],
    ['every process of it', () => processesOf(data).map(({ pid }) => pid)],
  ];

  it.each(killed)('finds its state at the next start after kill -9 of %s', async (_, victims) => {
    const first = await manager();
    const ids = victims(first);
    expect(processesOf(data).map(({ pid }) => pid)).toEqual(expect.arrayContaining(ids));
    // A process of PostgreSQL's may end by itself while its neighbours are killed, so the first must go for certain.
    running = undefined;
    process.kill(ids[0]!, 'SIGKILL');
    for (const pid of ids.slice(1)) signal(pid, 'SIGKILL');

    const { managerId } = await manager();

    expect(managerId).not.toBe(first.managerId);
    expect((await first.ended).exitCode).not.toBe(0);
    const left = processesOf(data).filter(({ command }) => command.includes('serve'));
    expect(left).toMatchObject([{ pid: managerId }]);
  });

  it('keeps a second one out with 17 at once, and serves and backs up on', async () => {
    const first = await manager();

    const second = await beginStart(data).ended;

    expect(second).toMatchObject({
      exitCode: 17,
      stderr: expect.stringContaining(`process ${first.managerId} (serve)`),
    });
    expect(second.stderr).not.toContain('waiting');
    expect(await isUp(first)).toBe(true);
    const { id } = (await runJson(['backup', 'create'], { dataDirectory: data })) as { id: string };
    state = { ...state!, backups: [id, ...state!.backups] };
    expect(await readState(data)).toEqual(state);
  });

  it('that is still stopping is waited for by the next', async () => {
    const { child, managerId } = await manager();
    running = undefined;
    await useDatabase();
    process.kill(-child.pid!, 'SIGINT');
    await expect.poll(() => readFileSync(join(data, 'state/owner.lock.holder'), 'utf8')).toContain('stopping');
    // However slowly the next one starts, it finds this one.
    process.kill(managerId, 'SIGSTOP');
    const next = beginStart(data);
    await next.saw(/in use by process \d+ \(serve, stopping\); waiting for its end/);
    process.kill(managerId, 'SIGCONT');
    await next.saw(/found its state[^]*Stop with Ctrl-C/);
    next.child.kill('SIGTERM');
    await expectEnd(next, data);
    expect(await readState(data)).toEqual(state);
  });

  it('ends at once on a second, later Ctrl-C, and leaves no process', async () => {
    const { child, saw } = await manager();
    await useDatabase();
    process.kill(-child.pid!, 'SIGINT');
    await saw(/ stopping$/m);
    await sleep(700);
    process.kill(-child.pid!, 'SIGINT');
    await expectEnded(130);
    expect(await readState(data)).toEqual(state);
  });

  it('waits for a command that uses the data directory', async () => {
    const owner = await startProgram(join(import.meta.dirname, '../fixtures/embedded-owner.ts'), [data]);
    const waiting = beginStart(data, 'enclave-manager.mjs serve');
    await waiting.saw(/in use by process \d+ \(test owner\); waiting for its end/);
    await owner.kill('SIGTERM');
    await waiting.saw(/found its state[^]*Stop with Ctrl-C/);
    waiting.child.kill('SIGTERM');
    await expectEnd(waiting, data);
  });

  it('stops at once when it is told to while it waits', async () => {
    const owner = await startProgram(join(import.meta.dirname, '../fixtures/embedded-owner.ts'), [data]);
    const waiting = beginStart(data, 'enclave-manager.mjs serve');
    await waiting.saw(/waiting for its end/);
    waiting.child.kill('SIGTERM');
    expect(await waiting.ended).toMatchObject({ exitCode: 0 });
    await owner.kill('SIGTERM');
  });

  it('creates nothing beside a filled repository and ends with 12; the commands that it prints restore', async () => {
    const before = state!;
    rmSync(join(data, 'postgres'), { recursive: true });
    const refused = await beginStart(data).ended;
    expect(refused).toMatchObject({ exitCode: 12, stdout: expect.not.stringContaining('it is up') });
    const commands = [...refused.stderr.matchAll(/^ +(.*enclave-manager.* restore .*)$/gm)].map(([, line]) => line!);
    expect(commands).toHaveLength(2);

    // In the shell that npm start was typed into; there is no terminal to answer on.
    const env = { ...process.env, ENCLAVE_MANAGER_DATA_DIR: data };
    const run = (line: string) =>
      spawnSync('sh', ['-c', line], { cwd: join(import.meta.dirname, '../..'), env, encoding: 'utf8' });
    expect(run(commands[0]!)).toMatchObject({ status: 0, stdout: expect.stringContaining(before.backups[0]!) });
    expect(run(`${commands[1]} --yes`)).toMatchObject({ status: 0 });

    running = await startManager(data);
    expect(running.screen).toContain('found its state');
    expect(await readState(data)).toEqual(before);
    running.child.kill('SIGTERM');
    await expectEnded();
  });
});

describe('a first start', { timeout: 120_000 }, () => {
  const moments: [string, (directory: string) => boolean][] = [
    ['the database is made', (directory) => existsSync(join(directory, 'postgres/cluster.new/PG_VERSION'))],
    ['the first backup is drilled', (directory) => isFilled(join(directory, 'scratch'))],
  ];

  it.each(moments)('ends cleanly when it is told to while %s, and the next one goes on', async (_, reached) => {
    const directory = join(temporaryDirectory(), 'data');
    onTestFinished(() => killAll(directory));
    const first = beginStart(directory, 'enclave-manager.mjs serve');
    await expect.poll(() => reached(directory), { timeout: 60_000, interval: 5 }).toBe(true);
    process.kill(-first.child.pid!, 'SIGINT');
    await expectEnd(first, directory);
    expect((await first.ended).stdout).toBe('');
    expect(isFilled(join(directory, 'scratch'))).toBe(false);

    const next = await startManager(directory, 'enclave-manager.mjs serve');
    expect(next.screen).toMatch(/Last drill\s+passed/);
    next.child.kill('SIGTERM');
    await expectEnd(next, directory);
  });

  const isFilled = (directory: string): boolean => existsSync(directory) && readdirSync(directory).length > 0;

  it('names the data directory that it cannot write', async () => {
    const parent = temporaryDirectory();
    const directory = join(parent, 'data');
    // Permissions do not stop root; a file in the way does.
    if (process.getuid?.() === 0) writeFileSync(directory, '');
    else chmodSync(parent, 0o555);
    onTestFinished(() => chmodSync(parent, 0o755));
    const refused = await beginStart(directory).ended;
    expect(refused).toMatchObject({ exitCode: 10, stderr: expect.stringContaining(directory) });
    expect(refused.stderr).toContain('ENCLAVE_MANAGER_DATA_DIR');
    expect(refused.stderr).not.toMatch(/^\s+at /m);
  });

  it('refuses the database of another major, says what to do, and leaves it as it is', async () => {
    const directory = join(temporaryDirectory(), 'data');
    const cluster = join(directory, 'postgres/cluster');
    mkdirSync(cluster, { recursive: true });
    writeFileSync(join(cluster, 'PG_VERSION'), '17\n');
    const refused = await beginStart(directory).ended;
    expect(refused).toMatchObject({ exitCode: 22, stderr: expect.stringContaining('was made by PostgreSQL 17') });
    expect(refused.stderr).toContain('restore it with this release into another data directory');
    expect(readdirSync(cluster)).toEqual(['PG_VERSION']);
    expect((await runCommand(['database', 'status'], { dataDirectory: directory })).exitCode).toBe(22);
  });
});
