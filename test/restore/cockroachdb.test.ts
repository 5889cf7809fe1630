import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Database, DatabaseServer } from '#ports/database.ts';
import { forms } from '../fixtures/cockroachdb-forms.ts';
import { startCockroachdbProxy, type CockroachdbProxy } from '../fixtures/cockroachdb-proxy.ts';
import { runCommand, runJson, startCommand, type CommandOptions } from '../fixtures/command.ts';
import { withDatabaseOf } from '../fixtures/data-directory.ts';
import { dumpDatabase } from '../fixtures/dump.ts';
import { temporaryDirectory } from '../fixtures/host.ts';
import { startTestServer } from '../fixtures/postgresql.ts';
import { addAuditEvents, addUsers } from '../fixtures/rows.ts';

vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

const statementsFile = join(import.meta.dirname, '../../docs/cockroachdb-statements.sql');

/** Sent only where a transaction failed or gave way to another one. */
const bySurprise = /^rollback$/i;
/** Sent only where something lasts long enough to be prolonged, so not in every run. */
const byTime = /^update "(servers|leases|maintenance)" set ("heartbeat_at"|"expires_at")/;

let proxy: CockroachdbProxy;
let direct: DatabaseServer;

beforeAll(async () => {
  const { connection, server } = await startTestServer();
  direct = server;
  proxy = await startCockroachdbProxy(connection);
});

afterAll(() => proxy?.close());

interface Place {
  readonly options: CommandOptions;
  readonly database: string;
}

/** Commands that take the database behind the proxy for one on CockroachDB. */
function through(database: string, dataDirectory: string): Place {
  const { user, password, host, port } = proxy.options;
  const url = `postgres://${user}:${encodeURIComponent(password!)}@${host}:${port}/${database}?sslmode=disable`;
  const env = {
    ENCLAVE_MANAGER_DATABASE_URL: url,
    ENCLAVE_MANAGER_SEALING: 'software',
    ENCLAVE_MANAGER_BACKUP_SCHEDULE: '',
    ENCLAVE_MANAGER_DRILL_SCHEDULE: '',
  };
  return { database, options: { dataDirectory, env } };
}

async function serving(options: CommandOptions, work: () => Promise<void>): Promise<void> {
  const serve = startCommand(['serve'], options);
  await serve.saw(/Stop with Ctrl-C/);
  try {
    await work();
  } finally {
    serve.child.kill('SIGTERM');
    await serve.ended;
  }
  expect(await serve.ended).toMatchObject({ exitCode: 0 });
}

/** Past the proxy, so that what the test writes is not recorded. */
async function onServer<T>(name: string, work: (database: Database) => Promise<T>): Promise<T> {
  const database = direct.open(name, { connections: 1 });
  try {
    return await work(database);
  } finally {
    await database.close();
  }
}

const rowsOn = (name: string): Promise<Record<string, string[]>> => onServer(name, dumpDatabase);

const changed = (name: string, domain: string): Promise<Record<string, string[]>> =>
  onServer(name, async (database) => {
    await addUsers(database, 30, domain);
    await addAuditEvents(database, 3);
    await database.runScript(`INSERT INTO settings (name, value, sealed_secret, updated_at) VALUES
      ('${domain}', '{"bb": [1, 2.50, null], "a": "\\\\ \\" \\n, é", "c": {}}', NULL, '2026-11-22 01:02:03.4+00'),
      (E'a "quoted", \\\\name\\\\\\nof ${domain}', '""', NULL, '0044-03-15 12:00:00+00 BC')`);
    return await dumpDatabase(database);
  });

async function ok(args: readonly string[], options: CommandOptions): Promise<void> {
  const result = await runCommand(args, options);
  expect(result, `${args.join(' ')}: ${result.stderr}`).toMatchObject({ exitCode: 0 });
}

describe('the adapter of CockroachDB, on PostgreSQL behind a proxy', () => {
  const dataDirectory = join(temporaryDirectory(), 'data');

  it('goes the whole circle: cluster, backup, drill, restore, rollback, cleanup', async () => {
    const { options, database } = through('circle', dataDirectory);
    await serving(options, async () => {});
    const status = await runJson(['database', 'status'], options);
    expect(status).toMatchObject({ engine: 'cockroachdb 25.2.1', exists: true, missingPrivileges: [] });

    const backedUp = await changed(database, 'before.example.org');
    const { id } = (await runJson(['backup', 'create'], options)) as { id: string };
    await ok(['backup', 'drill', id], options);
    const since = await changed(database, 'after.example.org');
    await serving(options, async () => {
      await ok(['restore', 'plan', id], options);
      await ok(['restore', 'run', id, '--yes'], options);
      expect(await rowsOn(database)).toEqual(backedUp);
      await ok(['restore', 'rollback', '--yes'], options);
      expect(await rowsOn(database)).toEqual(since);
      await ok(['restore', 'rollback', '--yes'], options);
      expect(await rowsOn(database)).toEqual(backedUp);
      await ok(['restore', 'cleanup', '--yes'], options);
    });
    expect(await direct.databaseNames(`${database}_`)).toEqual([]);
    const shown = (await runJson(['backup', 'show', id], options)) as { engine: string };
    expect(shown.engine).toBe('cockroachdb 25.2.1');
  });

  it('runs the other commands', async () => {
    const { options } = through('circle', dataDirectory);
    for (const command of [
      ['status', '--json'],
      ['audit', 'list'],
      ['audit', 'verify'],
      ['keys', 'status'],
      ['node', 'list'],
      ['node', 'probe'],
      ['node', 'invite'],
      ['openability'],
      ['database', 'migrate'],
      ['backup', 'verify', 'latest'],
      ['backup', 'prune', '--dry-run'],
      ['repository', 'check'],
    ]) {
      const result = await runCommand(command, options);
      // A status that is not healthy says so by 1: this cluster has no schedule.
      expect([0, command[0] === 'status' ? 1 : 0], `${command.join(' ')}: ${result.stderr}`).toContain(result.exitCode);
    }
    await ok(['keys', 'rotate', '--yes'], options);
  });

  it('is killed between the renames of a swap, and the next command finishes it', async () => {
    const { options, database } = through('circle', dataDirectory);
    const rows = await rowsOn(database);
    const { id } = (await runJson(['backup', 'create'], options)) as { id: string };
    await changed(database, 'lost.example.org');
    const env = { ...options.env, ENCLAVE_MANAGER_TEST_KILL_AT: 'swap.live-renamed' };
    const killed = await runCommand(['restore', 'run', id, '--yes'], { ...options, env });
    expect(killed).toMatchObject({ signal: 'SIGKILL' });
    expect(await direct.databaseIdentity(database)).toBeUndefined();
    await ok(['node', 'probe'], options);
    expect(await rowsOn(database)).toEqual(rows);
  });

  it('takes a cluster over from embedded PostgreSQL, and gives it back, row for row', async () => {
    const moving = join(temporaryDirectory(), 'data');
    const embedded = { dataDirectory: moving, env: { ENCLAVE_MANAGER_DRILL_SCHEDULE: '' } };
    await serving(embedded, async () => {});
    const original = await withDatabaseOf(moving, async (database) => {
      await addUsers(database, 40, 'moved.example.org');
      await database.runScript(`INSERT INTO settings (name, value, updated_at)
        VALUES ('jsonb', '{"zz": 1, "a": [1e3, "\\\\u00e9 \\\\t"], "": false}', now()), (E'odd\\n\\t\\\\', '[]', now())`);
      return await dumpDatabase(database);
    });
    await ok(['backup', 'create'], embedded);

    const there = through('moved', moving);
    await ok(['restore', 'run', 'latest', '--yes'], there.options);
    expect(await rowsOn(there.database)).toEqual(original);
    await ok(['backup', 'create'], there.options);

    await ok(['restore', 'run', 'latest', '--yes'], embedded);
    expect(await withDatabaseOf(moving, dumpDatabase)).toEqual(original);
  });
});

describe('the statements that CockroachDB is sent', () => {
  it('are those of docs/cockroachdb-statements.sql, which WRITE_COCKROACHDB_STATEMENTS=1 writes anew', () => {
    const listed = readFileSync(statementsFile, 'utf8')
      .split(';\n')
      .map((statement) => statement.trim());
    const recorded = [...proxy.statements].filter((statement) => !bySurprise.test(statement));
    const prolonging = listed.filter((statement) => byTime.test(statement));
    const text = statementsText([...new Set([...recorded, ...prolonging])].toSorted());
    if (process.env['WRITE_COCKROACHDB_STATEMENTS'] === '1') writeFileSync(statementsFile, text);
    expect(text).toBe(readFileSync(statementsFile, 'utf8'));
  });

  it('met every form that only CockroachDB has', () => {
    // A long statement is cancelled only where one runs when a signal comes.
    const wanted = forms.map(({ name }) => name).filter((name) => name !== 'CANCEL QUERIES');
    expect([...proxy.forms].toSorted()).toEqual(
      [...wanted, 'AS OF SYSTEM TIME', 'cluster_logical_timestamp()'].toSorted(),
    );
  });

  it('have nothing that its grammar refuses', () => {
    const refused =
      /\b(LISTEN|NOTIFY|VACUUM|LOCK TABLE|MERGE INTO|CREATE DOMAIN|INHERITS|EXCLUDE USING|DISABLE TRIGGER|SET TRANSACTION SNAPSHOT|SET CONSTRAINTS|INITIALLY DEFERRED)\b|WITH \(FORCE\)|COPY .* TO '|advisory|COLLATE "C"|aclexplode|pg_terminate_backend|pg_export_snapshot|\bctid\b|\bxmin\b|DO \$\$/i;
    expect([...proxy.statements].filter((statement) => refused.test(statement))).toEqual([]);
    expect(proxy.statements.size).toBeGreaterThan(100);
  });

  it('come in sessions with settings that it documents', () => {
    expect([...proxy.settings].toSorted()).toEqual([
      'autocommit_before_ddl',
      'bytea_output',
      'copy_from_atomic_enabled',
      'datestyle',
      'extra_float_digits',
      'idle_in_transaction_session_timeout',
      'intervalstyle',
      'lock_timeout',
      'search_path',
      'sql_safe_updates',
      'statement_timeout',
      'timezone',
    ]);
  });
});

function statementsText(statements: readonly string[]): string {
  return `-- Every statement that is sent to CockroachDB, as a test records them: names of databases, values and repetitions are left
-- out. WRITE_COCKROACHDB_STATEMENTS=1 npx vitest run test/restore/cockroachdb.test.ts writes this file anew.

${statements.map((statement) => `${statement};\n`).join('\n')}`;
}
