import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { connectPostgresql } from '#adapters/postgresql/postgresql-server.ts';
import { quoteIdentifier } from '#postgresql-protocol/identifier-quoting.ts';
import { runCommand, runJson, startCommand, type StartedCommand } from '../fixtures/command.ts';
import { debianUnavailable, startDebianServer, type DebianServer } from '../fixtures/debian-postgresql.ts';
import { dumpDatabase } from '../fixtures/dump.ts';
import { temporaryDirectory } from '../fixtures/host.ts';
import { psql, psqlUnavailable } from '../fixtures/psql.ts';
import { addUsers } from '../fixtures/rows.ts';
import { freePort } from '../fixtures/free-port.ts';
import { freshDatabaseName } from '../fixtures/postgresql.ts';

vi.setConfig({ testTimeout: 240_000 });

let debian: Promise<DebianServer> | undefined;
afterAll(async () => (await debian)?.stop());

beforeEach((context) => {
  const unavailable = psqlUnavailable ?? debianUnavailable;
  if (unavailable !== undefined) context.skip(unavailable);
});

/** A manager's data directory and settings, with a database of its own on Debian's server. */
async function makeManager() {
  const { url: serverUrl } = await (debian ??= startDebianServer());
  const url = serverUrl.replace(/malbork$/, freshDatabaseName());
  const dataDirectory = join(temporaryDirectory(), 'data');
  const listen = `127.0.0.1:${await freePort()}`;
  const env = {
    ENCLAVE_MANAGER_DATABASE_URL: url,
    ENCLAVE_MANAGER_SEALING: 'software',
    ENCLAVE_MANAGER_DRILL_SCHEDULE: '',
    ENCLAVE_MANAGER_LISTEN: listen,
  };
  const options = { dataDirectory, env };
  const server = await connectPostgresql({ server: url });
  onTestFinished(() => server.close());
  const start = (): StartedCommand => {
    const serve = startCommand(['serve'], { ...options, runMs: 280_000 });
    onTestFinished(() => void serve.child.kill('SIGKILL'));
    return serve;
  };
  const ask = async (path: string): Promise<{ status: number; text: string }> => {
    const answer = await fetch(`http://${listen}${path}`);
    return { status: answer.status, text: await answer.text() };
  };
  /** What the procedure says: drop, create, replay. */
  const replay = async (script: string) => {
    const name = quoteIdentifier(server.liveName);
    const dropped = await psql(
      { url, database: 'postgres' },
      `DROP DATABASE ${name} WITH (FORCE);\nCREATE DATABASE ${name};`,
    );
    expect(dropped).toEqual({ exitCode: 0, stderr: '' });
    return await psql({ url, database: server.liveName }, script);
  };
  const dump = async () => {
    const database = server.open(server.liveName);
    try {
      return await dumpDatabase(database);
    } finally {
      await database.close();
    }
  };
  return { options, server, start, ask, replay, dump };
}

async function stop(serve: StartedCommand): Promise<void> {
  serve.child.kill('SIGTERM');
  const { exitCode, stderr } = await serve.ended;
  expect(exitCode, stderr).toBe(0);
}

describe('a manager on PostgreSQL 15', () => {
  it('stays in maintenance beside an export that is half replayed or edited, and serves one that is whole or accepted', async () => {
    const { options, server, start, ask, replay, dump } = await makeManager();
    const first = start();
    await first.saw(/Stop with Ctrl-C/);
    await stop(first);
    const live = server.open(server.liveName);
    await addUsers(live, 25);
    await live.close();
    const wanted = await dump();
    const backup = (await runJson(['backup', 'create'], options)) as { id: string; clusterKey: string };

    const output = join(temporaryDirectory(), 'malbork.sql');
    const words = ['backup', 'export', 'latest', '--format', 'sql'];
    const exported = await runCommand([...words, '--output', output], options);
    expect(exported.exitCode, exported.stderr).toBe(0);
    expect(exported.stderr).toMatch(/names, events and hashes; the secrets in it are sealed/);
    expect(statSync(output).mode & 0o777).toBe(0o600);
    const script = readFileSync(output, 'utf8');
    const again = await runCommand([...words, '--output', output], options);
    expect([again.exitCode, again.stderr]).toEqual([2, expect.stringContaining('exists already')]);
    const piped = await runCommand(words, options);
    expect([piped.exitCode, piped.stdout === script]).toEqual([0, true]);

    // The last line alone is missing.
    const cut = script.slice(0, script.trimEnd().lastIndexOf('\n') + 1);
    expect((await replay(cut)).exitCode).toBe(0);
    const serve = start();
    await serve.saw(/is incomplete/);
    expect((await ask('/livez')).status).toBe(200);
    expect(await ask('/readyz')).toEqual({
      status: 503,
      text: expect.stringMatching(/incomplete.*replay the whole file again.*restore run latest/) as string,
    });
    expect(await runJson(['database', 'status'], options)).toMatchObject({
      import: { state: 'begun', backupId: backup.id, sequence: 2 },
      cluster: null,
    });
    const status = await runCommand(['status'], options);
    expect([status.exitCode, status.stderr]).toEqual([12, expect.stringContaining('incomplete')]);

    expect(await replay(script)).toEqual({ exitCode: 0, stderr: '' });
    await serve.saw(/Stop with Ctrl-C/);
    expect((await ask('/readyz')).status).toBe(200);
    expect(await dump()).toEqual(wanted);
    expect(await runJson(['database', 'status'], options)).toMatchObject({
      import: null,
      cluster: { incarnation: { number: 2 } },
    });

    const edited = script.replace(`'User 17'`, `'User 71'`);
    expect(edited).not.toBe(script);
    expect(await replay(edited)).toEqual({ exitCode: 0, stderr: '' });
    await serve.saw(/table "users" has other rows than the backup/);
    expect(await ask('/readyz')).toMatchObject({ status: 503, text: expect.stringContaining('other rows') as string });
    const wrong = `sha256:${'A'.repeat(43)}`;
    const wrongKey = await runCommand(
      ['database', 'accept-import', '--cluster-key', wrong, '--yes', '--json'],
      options,
    );
    expect([wrongKey.exitCode, wrongKey.stdout]).toEqual([20, expect.stringContaining(`not to ${wrong}`)]);
    const accept = ['database', 'accept-import', '--cluster-key', backup.clusterKey, '--yes'];
    expect(await runJson(accept, options)).toMatchObject({
      backupId: backup.id,
      compared: true,
      differences: ['table "users" has other rows than the backup'],
    });
    await expect.poll(async () => (await ask('/readyz')).status, { timeout: 60_000 }).toBe(200);
    const events = (await runJson(['audit', 'list'], options)) as { action: string; details: unknown }[];
    expect(events.find(({ action }) => action === 'imported')?.details).toMatchObject({
      acceptedFor: backup.clusterKey,
      differences: ['table "users" has other rows than the backup'],
    });
    expect((await runCommand(accept, options)).exitCode).toBe(3);
    await stop(serve);
  });

  it('stays in maintenance beside rows without proof, as of an export whose marker was taken out, until they are accepted', async () => {
    const { options, start, ask, replay } = await makeManager();
    const first = start();
    await first.saw(/Stop with Ctrl-C/);
    await stop(first);
    const { clusterKey } = (await runJson(['backup', 'create'], options)) as { clusterKey: string };
    const exported = await runCommand(['backup', 'export', 'latest', '--format', 'sql'], options);
    const unmarked = exported.stdout
      .replace(/CREATE TABLE import_marker [^;]*;\n/, '')
      .replaceAll(/(INSERT INTO|UPDATE) import_marker [^;]*;\n/g, '');
    expect([exported.stdout.includes('import_marker'), unmarked.includes('import_marker')]).toEqual([true, false]);
    expect(await replay(unmarked)).toEqual({ exitCode: 0, stderr: '' });

    const serve = start();
    await serve.saw(/nothing proves that the database/);
    expect((await ask('/livez')).status).toBe(200);
    const unready = await ask('/readyz');
    expect([unready.status, unready.text]).toEqual([
      503,
      expect.stringContaining('database accept-import --cluster-key'),
    ]);
    for (const words of [['status'], ['backup', 'create'], ['node', 'list'], ['keys', 'rotate', '--yes']]) {
      const { exitCode, stderr } = await runCommand(words, options);
      expect([words, exitCode, stderr]).toEqual([
        words,
        12,
        expect.stringContaining('nothing proves that the database'),
      ]);
    }

    const accept = ['database', 'accept-import', '--cluster-key', clusterKey, '--yes'];
    expect(await runJson(accept, options)).toMatchObject({ backupId: null, compared: false, differences: [] });
    await expect.poll(async () => (await ask('/readyz')).status, { timeout: 60_000 }).toBe(200);
    await runJson(['backup', 'create'], options);
    await stop(serve);
  });
});
