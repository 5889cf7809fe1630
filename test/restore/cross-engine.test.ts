import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, it, vi } from 'vitest';
import { connectPostgresql } from '#adapters/postgresql/postgresql-server.ts';
import { runCommand, startCommand, type CommandOptions } from '../fixtures/command.ts';
import { withDatabaseOf } from '../fixtures/data-directory.ts';
import { debianUnavailable, startDebianServer, type DebianServer } from '../fixtures/debian-postgresql.ts';
import { dumpDatabase } from '../fixtures/dump.ts';
import { temporaryDirectory } from '../fixtures/host.ts';
import { addAuditEvents, addUsers } from '../fixtures/rows.ts';

vi.setConfig({ testTimeout: 240_000, hookTimeout: 240_000 });

let debian: DebianServer;

beforeEach((context) => {
  if (debianUnavailable !== undefined) context.skip(debianUnavailable);
});

beforeAll(async () => {
  if (debianUnavailable === undefined) debian = await startDebianServer();
});

afterAll(() => debian?.stop());

async function ok(args: readonly string[], options: CommandOptions): Promise<void> {
  const result = await runCommand(args, options);
  expect(result, `${args.join(' ')}: ${result.stderr}`).toMatchObject({ exitCode: 0 });
}

it('a cluster moves from embedded PostgreSQL 18 to PostgreSQL 15 and back, row for row', async () => {
  const dataDirectory = join(temporaryDirectory(), 'data');
  const embedded = { dataDirectory, env: { ENCLAVE_MANAGER_DRILL_SCHEDULE: '' } };
  const url = `${debian.url}?sslmode=verify-full&sslrootcert=${debian.certificateFile}`;
  const there = {
    dataDirectory,
    env: { ...embedded.env, ENCLAVE_MANAGER_DATABASE_URL: url, ENCLAVE_MANAGER_SEALING: 'software' },
  };
  const serve = startCommand(['serve'], embedded);
  await serve.saw(/Stop with Ctrl-C/);
  serve.child.kill('SIGTERM');
  await serve.ended;
  const original = await withDatabaseOf(dataDirectory, async (database) => {
    await addUsers(database, 40);
    await addAuditEvents(database, 3);
    return await dumpDatabase(database);
  });
  expect(original['users']).toHaveLength(40);
  await ok(['backup', 'create'], embedded);

  await ok(['restore', 'run', 'latest', '--yes'], there);
  const server = await connectPostgresql({ server: url });
  expect(server.version).toMatch(/^15\./);
  const database = server.open('malbork');
  expect(await dumpDatabase(database)).toEqual(original);
  await addUsers(database, 5, 'on-15.example.org');
  const moved = await dumpDatabase(database);
  await server.close();
  await ok(['backup', 'create'], there);

  await ok(['restore', 'run', 'latest', '--yes'], embedded);
  expect(await withDatabaseOf(dataDirectory, dumpDatabase)).toEqual(moved);
});
