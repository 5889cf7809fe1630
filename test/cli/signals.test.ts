import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { attachEmbedded, postgresDirectory } from '#adapters/embedded-postgresql/attach-embedded.ts';
import { connectPostgresql } from '#adapters/postgresql/postgresql-server.ts';
import type { Database, DatabaseServer } from '#ports/database.ts';
import { readMaintenance } from '#store/maintenance.ts';
import { listRuns } from '#store/runs.ts';
import { runCommand, runJson, startCommand, type CommandResult, type StartedCommand } from '../fixtures/command.ts';
import { temporaryDirectory } from '../fixtures/host.ts';
import { addUsers } from '../fixtures/rows.ts';
import { killAll, processesOf } from '../start-stop/manager.ts';

process.env['NODE_COMPILE_CACHE'] = join(temporaryDirectory(), 'compiled');

const data = join(temporaryDirectory(), 'data');
const options = { dataDirectory: data, env: { ENCLAVE_MANAGER_DRILL_SCHEDULE: '' } };
const signals = [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const;

let serve: StartedCommand & { readonly address: string };
let server: DatabaseServer;
let live: Database;
let backupId: string;

async function connect(directory: string): Promise<DatabaseServer | undefined> {
  const connection = attachEmbedded({ directory, liveName: 'malbork' });
  return connection && (await connectPostgresql({ server: connection }).catch(() => undefined));
}

/** Whether rows pass between the program and one of the server's databases at this moment. */
async function isCopying(database: Database, direction: 'FROM' | 'TO', prefix = ''): Promise<boolean> {
  const { rows } = await sql`SELECT 1 FROM pg_stat_progress_copy
    WHERE command = ${`COPY ${direction}`} AND starts_with(datname, ${prefix}) AND tuples_processed > 1000`.execute(
    database.queries,
  );
  return rows.length > 0;
}

/** Sends the signal once the command is in the middle of it. */
async function interrupt(
  args: readonly string[],
  signal: NodeJS.Signals,
  inTheMiddle: () => Promise<boolean>,
): Promise<CommandResult> {
  const { child, ended } = startCommand(args, options);
  let seen = false;
  while (!seen && child.exitCode === null) {
    seen = await inTheMiddle();
    if (!seen) await sleep(10);
  }
  expect(seen, `${args.join(' ')} was seen in the middle of its work`).toBe(true);
  child.kill(signal);
  return await ended;
}

/** What the command must not have changed. */
async function everything(): Promise<unknown> {
  const { rows } = await sql`SELECT count(*) AS count, sum(hashtextextended(t::text, 0)) AS sum FROM users t`.execute(
    live.queries,
  );
  return { rows, listed: listed(), databases: await server.databaseNames('malbork') };
}

/** Manifests, whose existence is what lists a backup. */
const listed = (): string[] => readdirSync(join(data, 'backups/backups'));

async function holders(): Promise<unknown[]> {
  return (await sql`SELECT name, holder FROM leases WHERE holder IS NOT NULL`.execute(live.queries)).rows;
}

async function lastBackupRun(): Promise<unknown> {
  const [run] = await listRuns(live.queries, { kind: 'backup', limit: 1 });
  return run;
}

const scratch = (): string[] => (existsSync(join(data, 'scratch')) ? readdirSync(join(data, 'scratch')) : []);

async function startServe(): Promise<typeof serve> {
  const started = startCommand(['serve'], { ...options, runMs: 600_000 });
  const [, address] = await started.saw(/it is up at (http:\S+)[^]*Stop with Ctrl-C/);
  return { ...started, address: address! };
}

describe('a command that is interrupted', { timeout: 120_000 }, () => {
  beforeAll(async () => {
    serve = await startServe();
    server = (await connect(postgresDirectory(data)))!;
    live = server.open('malbork', { connections: 1 });
    await addUsers(live, 200_000);
  }, 120_000);

  afterAll(async () => {
    await live.close();
    await server.close();
    killAll(data);
  });

  it.each(signals)('on %s lists no backup that it was reading the rows of', async (signal, exitCode) => {
    const before = await everything();
    const result = await interrupt(['backup', 'create'], signal, () => isCopying(live, 'TO'));
    expect(result, result.stderr).toMatchObject({ exitCode, stdout: '' });
    expect(result.stderr).toMatch(signal === 'SIGINT' ? /^Error: interrupted$/m : /^Error: terminated by SIGTERM$/m);
    expect(await holders()).toEqual([]);
    expect(await everything()).toEqual(before);
    expect(await lastBackupRun()).toMatchObject({ outcome: 'interrupted' });
  });

  it('is followed by a backup that works, with what is stored already', async () => {
    const created = (await runJson(['backup', 'create'], options)) as { id: string; rows: number };
    expect(created).toMatchObject({ sequence: 2, verified: { level: 'new-chunks' } });
    expect(created.rows).toBeGreaterThan(200_000);
    backupId = created.id;
    expect(listed()).toContain(`${backupId}.json`);
  });

  it.each(signals)('on %s leaves nothing of the drill that was loading rows', async (signal, exitCode) => {
    const before = await everything();
    let scratchServer: DatabaseServer | undefined;
    let postgres: Database | undefined;
    const result = await interrupt(['backup', 'drill', backupId], signal, async () => {
      const [place] = scratch().filter((name) => !name.includes('.'));
      if (place === undefined) return false;
      scratchServer ??= await connect(join(data, 'scratch', place));
      postgres ??= scratchServer?.open('postgres', { connections: 1 });
      return postgres !== undefined && (await isCopying(postgres, 'FROM'));
    });
    await postgres?.close().catch(() => undefined);
    await scratchServer?.close().catch(() => undefined);
    expect(result, result.stderr).toMatchObject({ exitCode, stdout: '' });
    expect(scratch()).toEqual([]);
    expect(processesOf(join(data, 'scratch'))).toEqual([]);
    expect(await holders()).toEqual([]);
    expect(await everything()).toEqual(before);
  });

  it('is followed by a drill that works', async () => {
    expect(await runJson(['backup', 'drill', backupId], options)).toMatchObject({ id: backupId });
    expect(scratch()).toEqual([]);
  });

  it.each(signals)('on %s leaves the live database serving that it was about to replace', async (signal, exitCode) => {
    await addUsers(live, 1, `after-the-backup.${signal}`);
    const before = await everything();
    const args = ['restore', 'run', backupId, '--yes', '--without-safety-backup'];
    const result = await interrupt(args, signal, () => isCopying(live, 'FROM', 'malbork_restore_'));
    expect(result, result.stderr).toMatchObject({ exitCode, stdout: '' });
    expect(await holders()).toEqual([]);
    expect(await everything()).toEqual(before);
    expect(await server.databaseNames('malbork')).toEqual(['malbork']);
    expect((await fetch(`${serve.address}/readyz`)).status).toBe(200);
  });

  it('while it waits for a server to pause lets that one serve on', async () => {
    const before = await everything();
    serve.child.kill('SIGSTOP');
    // It may take longer than a registration lasts until the restore asks who serves.
    await live.runScript(`UPDATE servers SET expires_at = now() + INTERVAL '60 seconds'`);
    const args = ['restore', 'run', backupId, '--yes', '--without-safety-backup'];
    const result = await interrupt(args, 'SIGINT', async () => (await readMaintenance(live.queries)) !== undefined);
    expect(result).toMatchObject({ exitCode: 130, stdout: '' });
    expect(await readMaintenance(live.queries)).toBeUndefined();
    expect(await holders()).toEqual([]);
    serve.child.kill('SIGCONT');
    await expect.poll(async () => (await fetch(`${serve.address}/readyz`)).status).toBe(200);
    expect(await everything()).toEqual(before);
  });

  it('is followed by a restore that works, and by a manager that ends cleanly', async () => {
    expect(await runJson(['restore', 'run', backupId, '--yes'], options)).toMatchObject({ backupId });
    await expect.poll(async () => (await fetch(`${serve.address}/readyz`)).status, { timeout: 20_000 }).toBe(200);
    expect(await runJson(['restore', 'cleanup', '--yes'], options)).toMatchObject({ dropped: [{ role: 'before' }] });
    expect(await server.databaseNames('malbork')).toEqual(['malbork']);
    await live.close();
    live = server.open('malbork', { connections: 1 });
    const { rows } = await sql<{ count: string }>`SELECT count(*) AS count FROM users`.execute(live.queries);
    expect(Number(rows[0]!.count)).toBe(200_000);
    serve.child.kill('SIGTERM');
    expect(await serve.ended).toMatchObject({ exitCode: 0 });
    await expect.poll(() => processesOf(data)).toEqual([]);
  });

  it.each(signals)('on %s stops the database that it started for itself', async (signal, exitCode) => {
    await live.close();
    await server.close();
    const before = listed();
    let own: DatabaseServer | undefined;
    const result = await interrupt(['backup', 'create'], signal, async () => {
      if (own === undefined && existsSync(join(data, 'state/owner.lock.holder'))) {
        own = await connect(postgresDirectory(data));
        live = own?.open('malbork', { connections: 1 }) ?? live;
      }
      return own !== undefined && (await isCopying(live, 'TO'));
    });
    server = own!;
    expect(result, result.stderr).toMatchObject({ exitCode, stdout: '' });
    await expect.poll(() => processesOf(data)).toEqual([]);
    expect(readFileSync(join(data, 'postgres/postgres.log'), 'utf8').trimEnd()).toMatch(
      /database system is shut down$/,
    );
    expect(listed()).toEqual(before);
    expect((await runCommand(['status'], options)).exitCode).toBe(0);
  });
});
