import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sql } from 'kysely';
import pg from 'pg';
import { describe, expect, it, onTestFinished } from 'vitest';
import { acquireDataDirectory, acquireOwnerLock } from '#adapters/data-directory/owner-lock.ts';
import { createScratchServers, removeLeftovers } from '#adapters/embedded-postgresql/scratch-servers.ts';
import { useEmbedded, type EmbeddedUse, type UseEmbeddedOptions } from '#adapters/embedded-postgresql/use-embedded.ts';
import { connectPostgresql } from '#adapters/postgresql/postgresql-server.ts';
import { systemClock } from '#adapters/system/clock.ts';
import { systemRandomness } from '#adapters/system/randomness.ts';
import type { ScratchServers } from '#ports/scratch-server.ts';
import { startProgram } from '../fixtures/processes.ts';

const ownerProgram = join(import.meta.dirname, '../fixtures/embedded-owner.ts');

function freshDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'enclave-manager-use-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

async function use(dataDirectory: string, options: Partial<UseEmbeddedOptions> = {}): Promise<EmbeddedUse> {
  const acquire = () => acquireDataDirectory(dataDirectory, 'test');
  const used = await useEmbedded({
    dataDirectory,
    liveName: 'malbork',
    acquire,
    clock: systemClock,
    attach: true,
    create: true,
    ...options,
  });
  onTestFinished(() => used.close({ drainMs: 1 }).catch(() => undefined));
  return used;
}

async function answers({ connection }: EmbeddedUse): Promise<string> {
  const server = await connectPostgresql({ server: connection });
  await server.close();
  return server.version.split('.')[0]!;
}

describe('useEmbedded', () => {
  it('starts a server of its own, and leaves the directory to the next', async () => {
    const directory = freshDirectory();
    for (let again = 0; again < 2; again += 1) {
      const used = await use(directory);
      expect([used.owned, await answers(used)]).toEqual([true, '18']);
      await used.close();
      expect(await used.exited).toBe('ended with exit code 0');
    }
  });

  it('uses the server of the process that owns the directory, and does not stop it', async () => {
    const directory = freshDirectory();
    const running = await startProgram(ownerProgram, [directory]);
    const used = await use(directory, { create: false });
    expect([used.owned, used.connection.host, await answers(used)]).toEqual([
      false,
      (running.facts['connection'] as { host: string }).host,
      '18',
    ]);
    await used.close();
    expect(await answers(await use(directory))).toBe('18');
  });

  it('leaves a server again that began to stop while it came', async () => {
    const directory = freshDirectory();
    const own = await use(directory);
    const { host, port, user, password } = own.connection;
    const client = new pg.Client({ host, port, user, password, database: 'postgres' });
    await client.connect();
    onTestFinished(() => client.end());
    // Nobody logs in while this lasts.
    await client.query('BEGIN; LOCK TABLE pg_authid IN ACCESS EXCLUSIVE MODE');
    let isAttached = false;
    const attaching = use(directory).finally(() => (isAttached = true));
    const waiting = async (): Promise<number> =>
      (await client.query('SELECT 1 FROM pg_locks WHERE NOT granted')).rowCount ?? 0;
    await expect.poll(waiting, { timeout: 10_000 }).toBe(1);
    const file = join(directory, 'postgres', 'cluster', 'postmaster.pid');
    const ready = readFileSync(file, 'utf8');
    expect(ready).toMatch(/^ready {3}$/m);
    writeFileSync(file, ready.replace(/^ready {3}$/m, 'stopping'));
    await client.query('COMMIT');
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(isAttached).toBe(false);

    writeFileSync(file, ready);
    expect((await attaching).owned).toBe(false);
  });

  it('stops its server only after those who share it have left, and those who come then start it again', async () => {
    const directory = freshDirectory();
    const own = await use(directory);
    const shared = await use(directory);
    expect(shared.owned).toBe(false);
    let closed = false;
    const closing = own.close().then(() => (closed = true));
    await new Promise((resolve) => setTimeout(resolve, 300));
    const late = use(directory);
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect([closed, await answers(shared)]).toEqual([false, '18']);
    await shared.close();
    await closing;
    expect([(await late).owned, await answers(await late)]).toEqual([true, '18']);
  });

  it('waits for others no longer than it was told', async () => {
    const directory = freshDirectory();
    const own = await use(directory);
    await use(directory);
    await own.close({ drainMs: 100 });
    expect(await own.exited).toBe('ended with exit code 0');
  });

  it('refuses to share where that was not asked for, and where the owner has no server', async () => {
    const directory = freshDirectory();
    const lock = acquireDataDirectory(directory, 'test without a server');
    onTestFinished(() => lock.release());
    for (const attach of [false, true]) {
      await expect(use(directory, { attach, waitMs: 300 })).rejects.toMatchObject({ code: 'data-directory-in-use' });
    }
  });

  it('makes no server where none is to be made, and gives the directory back', async () => {
    const directory = freshDirectory();
    await expect(use(directory, { create: false })).rejects.toMatchObject({ code: 'database-unreachable' });
    expect(existsSync(join(directory, 'postgres'))).toBe(false);
    acquireDataDirectory(directory, 'test').release();
  });
});

describe('a scratch server', () => {
  const scratchIn = (directory: string): ScratchServers =>
    createScratchServers({
      directory,
      liveName: 'malbork',
      acquire: (path) => acquireOwnerLock(path, 'test'),
      connect: (connection, location) => connectPostgresql({ server: connection, location }),
      clock: systemClock,
      randomness: systemRandomness,
    });

  it('is private, and leaves no trace', async () => {
    const directory = join(freshDirectory(), 'scratch');
    const scratch = scratchIn(directory);
    const [one, two] = [await scratch.start({ maxBytes: 2 ** 30 }), await scratch.start({ maxBytes: 2 ** 30 })];
    await one.server.createDatabase('malbork');
    expect([await one.server.databaseNames('mal'), await two.server.databaseNames('mal')]).toEqual([['malbork'], []]);
    await Promise.all([one.remove(), two.remove(), one.remove()]);
    expect(readdirSync(directory)).toEqual([]);
  });

  it('is stopped when it outgrows its limit, and says so', async () => {
    const directory = join(freshDirectory(), 'scratch');
    const { server, overLimit, remove } = await scratchIn(directory).start({ maxBytes: 100 * 1024 * 1024 });
    onTestFinished(remove);
    const database = server.open('postgres');
    const growing = database.runScript(
      `CREATE TABLE t AS SELECT i, repeat('x', 1000) FROM generate_series(1, 100000000) i`,
    );
    await expect(growing).rejects.toMatchObject({ code: 'database-unreachable' });
    expect(overLimit.reason).toMatchObject({ code: 'no-space' });
    await remove();
    expect(readdirSync(directory)).toEqual([]);
  });

  it('of a killed process is removed by the next start, one that is in use is not', async () => {
    const directory = join(freshDirectory(), 'scratch');
    const killed = await startProgram(ownerProgram, [directory, 'scratch']);
    const using = await startProgram(ownerProgram, [directory, 'scratch']);
    const places = (): string[] => readdirSync(directory).filter((name) => !name.includes('.'));
    expect(places().length).toBe(2);
    await killed.kill('SIGKILL');
    const { server, remove } = await scratchIn(directory).start({ maxBytes: 2 ** 30 });
    expect(places().length).toBe(2);
    await sql`SELECT 1`.execute(server.open('postgres').queries);
    await remove();
    expect(places().length).toBe(1);
    await using.kill('SIGKILL');
    await removeLeftovers({ directory, acquire: (path) => acquireOwnerLock(path, 'test') });
    expect(readdirSync(directory)).toEqual([]);
  });
});
