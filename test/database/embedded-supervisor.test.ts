import { execFileSync, spawn } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { describe, expect, it, onTestFinished } from 'vitest';
import { acquireDataDirectory } from '#adapters/data-directory/owner-lock.ts';
import { makeLauncher } from '#adapters/embedded-postgresql/launcher.ts';
import { findNativeBinaries } from '#adapters/embedded-postgresql/native-binaries.ts';
import { isAlive } from '#adapters/embedded-postgresql/processes.ts';
import { closedDirectory } from '#adapters/embedded-postgresql/server-user.ts';
import {
  startEmbedded,
  type EmbeddedConnection,
  type EmbeddedServer,
  type StartOptions,
} from '#adapters/embedded-postgresql/start-embedded.ts';
import { startProgram } from '../fixtures/processes.ts';

const owner = join(import.meta.dirname, '../fixtures/embedded-owner.ts');
const asRoot = process.getuid?.() === 0;
const nobody = { uid: 65534, gid: 65534 };

function freshDirectory(name = 'data'): string {
  const parent = mkdtempSync(join(tmpdir(), 'enclave-manager-supervisor-'));
  onTestFinished(() => rmSync(parent, { recursive: true, force: true }));
  return join(parent, name);
}

async function start(dataDirectory: string, options: Partial<StartOptions> = {}): Promise<EmbeddedServer> {
  const lock = acquireDataDirectory(dataDirectory, 'test');
  onTestFinished(() => lock.release());
  const server = await startEmbedded({
    directory: join(dataDirectory, 'postgres'),
    liveName: 'malbork',
    lock,
    ...options,
  });
  onTestFinished(() => server.stop());
  return server;
}

async function query(connection: EmbeddedConnection, text: string): Promise<unknown[]> {
  const client = new pg.Client({ ...connection, database: 'postgres' });
  client.on('error', () => undefined);
  await client.connect();
  try {
    const { rows } = await client.query<unknown[]>({ text, rowMode: 'array' });
    return rows.flat();
  } finally {
    await client.end();
  }
}

async function until(condition: () => boolean): Promise<void> {
  for (let attempt = 0; attempt < 1000 && !condition(); attempt += 1)
    await new Promise((resolve) => setTimeout(resolve, 20));
  expect(condition()).toBe(true);
}

describe('an embedded server', () => {
  it('is private, durable and gone after stop; started again it has its data', async () => {
    const directory = freshDirectory();
    const first = await start(directory);
    const shown =
      'fsync, synchronous_commit, full_page_writes, data_checksums, listen_addresses, server_encoding'.split(', ');
    expect(await query(first.connection, `SELECT current_setting(unnest(ARRAY['${shown.join("','")}']))`)).toEqual([
      'on',
      'on',
      'on',
      'on',
      '',
      'UTF8',
    ]);
    const privateFiles = [
      'postgres',
      'postgres/cluster',
      'postgres/password',
      'postgres/postgres.log',
      'state/owner.lock',
    ];
    expect(privateFiles.filter((path) => (statSync(join(directory, path)).mode & 0o077) !== 0)).toEqual([]);
    await expect(query({ ...first.connection, password: 'guess' }, 'SELECT 1')).rejects.toMatchObject({
      code: '28P01',
    });
    await query(first.connection, 'CREATE TABLE kept AS SELECT 42 AS answer');
    await first.stop();
    await first.stop();
    expect(await first.exited).toBe('ended with exit code 0');
    expect(isAlive(first.pid)).toBe(false);
    const lock = { release: () => undefined };
    const second = await startEmbedded({ directory: join(directory, 'postgres'), liveName: 'malbork', lock });
    onTestFinished(() => second.stop());
    expect(await query(second.connection, 'SELECT answer FROM kept')).toEqual([42]);
    expect(second.connection.password).toBe(first.connection.password);
  });

  it('is not reached by a second start, which names the first', async () => {
    const directory = freshDirectory();
    const first = await startProgram(owner, [directory]);
    await expect(start(directory)).rejects.toMatchObject({
      code: 'data-directory-in-use',
      message: expect.stringContaining(`process ${first.child.pid} (test owner)`) as string,
    });
    expect(await query(first.facts['connection'] as EmbeddedConnection, 'SELECT 1')).toEqual([1]);
  });

  it('ends with its manager, although that is killed, and the next start has what was committed', async () => {
    const directory = freshDirectory();
    const killed = await startProgram(owner, [directory]);
    await query(killed.facts['connection'] as EmbeddedConnection, 'CREATE TABLE kept AS SELECT 42 AS answer');
    await killed.kill('SIGKILL');
    await until(() => !isAlive(killed.facts['postgres'] as number));
    const next = await start(directory);
    expect(await query(next.connection, 'SELECT answer FROM kept')).toEqual([42]);
  });

  it('outlives its manager where setpriv is missing; the lock is free, and the next start stops it', async () => {
    const directory = freshDirectory();
    chmodSync(join(directory, '..'), 0o755);
    const killed = await startProgram(owner, [directory, 'no-setpriv']);
    const orphan = killed.facts['postgres'] as number;
    await query(killed.facts['connection'] as EmbeddedConnection, 'CREATE TABLE kept AS SELECT 42 AS answer');
    await killed.kill('SIGKILL');
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(isAlive(orphan)).toBe(true);
    acquireDataDirectory(directory, 'test').release();
    const next = await start(directory);
    expect(isAlive(orphan)).toBe(false);
    expect(await query(next.connection, 'SELECT answer FROM kept')).toEqual([42]);
  });

  it('says that it was killed, and starts again although its backends still run', async () => {
    const directory = freshDirectory();
    const first = await start(directory);
    const busy = query(first.connection, 'SELECT pg_sleep(600)').catch((error: unknown) => error);
    await until(() => readFileSync(join(directory, 'postgres/cluster/postmaster.pid'), 'utf8').includes('ready'));
    await query(first.connection, 'CREATE TABLE kept AS SELECT 42 AS answer');
    process.kill(first.pid, 'SIGKILL');
    expect(await first.exited).toBe('was ended by SIGKILL');
    const lock = { release: () => undefined };
    const second = await startEmbedded({ directory: join(directory, 'postgres'), liveName: 'malbork', lock });
    onTestFinished(() => second.stop());
    expect(await busy).toBeInstanceOf(Error);
    expect(await query(second.connection, 'SELECT answer FROM kept')).toEqual([42]);
  });

  it('starts although the process id in an old pid file belongs to another program by now, which is left alone', async () => {
    const directory = freshDirectory();
    const pidFile = join(directory, 'postgres/cluster/postmaster.pid');
    const first = await start(directory);
    const old = readFileSync(pidFile, 'utf8');
    await first.stop();
    const sleeper = spawn('sleep', ['600']);
    onTestFinished(() => void sleeper.kill());
    writeFileSync(pidFile, old.replace(/^\d+/, String(sleeper.pid)));
    const lock = { release: () => undefined };
    const second = await startEmbedded({ directory: join(directory, 'postgres'), liveName: 'malbork', lock });
    await second.stop();
    expect(isAlive(sleeper.pid!)).toBe(true);
  });

  it('starts although the process id in an old pid file is still that of a zombie', async () => {
    const directory = freshDirectory();
    const pidFile = join(directory, 'postgres/cluster/postmaster.pid');
    const first = await start(directory);
    const old = readFileSync(pidFile, 'utf8');
    await first.stop();
    // The shell's child ends after the shell has become `sleep`, which never asks for it.
    const parent = spawn('sh', ['-c', 'sleep 0.2 & echo $!; exec sleep 600'], { stdio: ['ignore', 'pipe', 'ignore'] });
    onTestFinished(() => void parent.kill());
    const zombie = Number(await new Promise((resolve) => parent.stdout.once('data', resolve)));
    await until(() => /\) Z /.test(readFileSync(`/proc/${zombie}/stat`, 'utf8')));
    expect(isAlive(zombie)).toBe(false);
    writeFileSync(pidFile, old.replace(/^\d+/, String(zombie)));
    const lock = { release: () => undefined };
    const second = await startEmbedded({ directory: join(directory, 'postgres'), liveName: 'malbork', lock });
    await second.stop();
  });

  it('works in a directory whose path is too long for a socket, and odd', async () => {
    const directory = freshDirectory(`odd, "name" 日本 ${'long-'.repeat(30)}`);
    const server = await start(directory);
    expect(server.connection.host).toMatch(/enclave-manager-[0-9a-f]{12}$/);
    expect(await query(server.connection, 'SELECT 1')).toEqual([1]);
    await server.stop();
    expect(existsSync(server.connection.host)).toBe(false);
    const short = await start(freshDirectory(`odd, "name" 日`));
    expect(await query(short.connection, 'SELECT 1')).toEqual([1]);
  });

  it('is made anew where making it was interrupted', async () => {
    const directory = freshDirectory();
    mkdirSync(join(directory, 'postgres/cluster.new/base'), { recursive: true });
    writeFileSync(join(directory, 'postgres/cluster.new/PG_VERSION'), '18\n');
    writeFileSync(join(directory, 'postgres/password'), 'of the interrupted start\n');
    const server = await start(directory);
    expect(await query(server.connection, 'SELECT 1')).toEqual([1]);
    expect(existsSync(join(directory, 'postgres/cluster.new'))).toBe(false);
  });

  it('of another major is refused and left as it is', async () => {
    const directory = freshDirectory();
    mkdirSync(join(directory, 'postgres/cluster'), { recursive: true });
    writeFileSync(join(directory, 'postgres/cluster/PG_VERSION'), '16\n');
    await expect(start(directory)).rejects.toMatchObject({
      code: 'version-incompatible',
      message: expect.stringContaining('PostgreSQL 16') as string,
    });
    expect(readFileSync(join(directory, 'postgres/cluster/PG_VERSION'), 'utf8')).toBe('16\n');
  });

  it('that does not start shows what PostgreSQL says', async () => {
    const directory = freshDirectory();
    const first = await start(directory);
    await first.stop();
    writeFileSync(join(directory, 'postgres/cluster/postgresql.conf'), 'nonsense = 1\n');
    const lock = { release: () => undefined };
    await expect(
      startEmbedded({ directory: join(directory, 'postgres'), liveName: 'malbork', lock }),
    ).rejects.toMatchObject({
      code: 'database-unreachable',
      message: expect.stringContaining('unrecognized configuration parameter "nonsense"') as string,
    });
  });

  it('in a place where nothing can be is a wrong configuration that names it', async () => {
    const directory = freshDirectory();
    writeFileSync(directory, '');
    await expect(start(directory)).rejects.toMatchObject({
      code: 'configuration',
      message: expect.stringContaining(directory) as string,
    });
  });
});

if (asRoot) {
  describe('an embedded server started by root', () => {
    it('runs as another user, although nobody but root may enter the way to its directory', async () => {
      const directory = freshDirectory();
      chmodSync(join(directory, '..'), 0o700);
      const server = await start(directory);
      const status = readFileSync(`/proc/${server.pid}/status`, 'utf8');
      expect(Number(/^Uid:\s*(\d+)/m.exec(status)![1])).not.toBe(0);
      expect(await query(server.connection, 'SELECT 1')).toEqual([1]);
    });

    it('has no rights of its own where the way is open, and runs as the owner of its directory', async () => {
      const directory = freshDirectory();
      chmodSync(join(directory, '..'), 0o755);
      mkdirSync(join(directory, 'postgres'), { recursive: true, mode: 0o711 });
      execFileSync('chown', ['65534:65534', join(directory, 'postgres')]);
      const server = await start(directory);
      const status = readFileSync(`/proc/${server.pid}/status`, 'utf8');
      expect([/^Uid:\s*(\d+)/m.exec(status)![1], /^CapEff:\s*(\w+)/m.exec(status)![1]]).toEqual([
        '65534',
        '0000000000000000',
      ]);
    });

    it('uses a copy of binaries that its user cannot reach', async () => {
      const directory = freshDirectory();
      chmodSync(join(directory, '..'), 0o755);
      const closed = join(directory, '../closed');
      mkdirSync(closed, { mode: 0o700 });
      const native = join(closed, 'native');
      cpSync(findNativeBinaries(), native, {
        recursive: true,
        verbatimSymlinks: true,
        filter: (path) => !path.endsWith('.a'),
      });
      const server = await start(directory, { launcher: (options) => makeLauncher({ ...options, native }) });
      expect(await query(server.connection, 'SELECT 1')).toEqual([1]);
      expect(readFileSync(`/proc/${server.pid}/cmdline`, 'utf8').split('\0')[0]).toBe(
        join(directory, 'postgres/binaries/bin/postgres'),
      );
    });

    it('works in a clone that nobody but root may enter, with its data and binaries', async () => {
      const directory = freshDirectory();
      const native = join(directory, '../native');
      cpSync(findNativeBinaries(), native, {
        recursive: true,
        verbatimSymlinks: true,
        filter: (path) => !path.endsWith('.a'),
      });
      const server = await start(directory, { launcher: (options) => makeLauncher({ ...options, native }) });
      expect(await query(server.connection, 'SELECT 1')).toEqual([1]);
      expect(existsSync(join(directory, 'postgres/binaries'))).toBe(false);
      const status = readFileSync(`/proc/${server.pid}/status`, 'utf8');
      expect(/^CapEff:\s*(\w+)/m.exec(status)![1]).toMatch(/^0*[24]$/);
    });

    it('is refused where neither the way is open nor setpriv can open it', async () => {
      const directory = freshDirectory();
      chmodSync(join(directory, '..'), 0o700);
      const launcher: StartOptions['launcher'] = (options) => makeLauncher({ ...options, setpriv: undefined });
      await expect(start(directory, { launcher })).rejects.toMatchObject({
        code: 'configuration',
        message: expect.stringContaining(join(directory, '..')) as string,
      });
    });

    // In a checkout that he cannot enter there is nothing for him to start; .ci/run gives him one of his own.
    const enters =
      closedDirectory(nobody, owner) === undefined && closedDirectory(nobody, process.execPath) === undefined;
    if (!enters) return;

    it('works the same when an ordinary user starts it', async () => {
      const directory = freshDirectory();
      execFileSync('chown', ['65534:65534', join(directory, '..')]);
      const program = await startProgram(owner, [directory], nobody);
      expect(program.facts['uid']).toBe(65534);
      expect(await query(program.facts['connection'] as EmbeddedConnection, 'SELECT 1')).toEqual([1]);
      await program.kill('SIGKILL');
      await until(() => !isAlive(program.facts['postgres'] as number));
    });
  });
}
