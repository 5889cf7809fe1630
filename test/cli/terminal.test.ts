import { existsSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { attachEmbedded, postgresDirectory } from '#adapters/embedded-postgresql/attach-embedded.ts';
import { connectPostgresql } from '#adapters/postgresql/postgresql-server.ts';
import type { Database, DatabaseServer } from '#ports/database.ts';
import { runCommand, startCommand, type CommandOptions, type StartedCommand } from '../fixtures/command.ts';
import { temporaryDirectory } from '../fixtures/host.ts';
import { addUsers } from '../fixtures/rows.ts';
import { killAll } from '../start-stop/manager.ts';

process.env['NODE_COMPILE_CACHE'] = join(temporaryDirectory(), 'compiled');

const script = '/usr/bin/script';
const data = join(temporaryDirectory(), 'data');
const options: CommandOptions = { dataDirectory: data, env: { ENCLAVE_MANAGER_DRILL_SCHEDULE: '', TERM: 'xterm' } };
const controlCharacters = /[^\P{Cc}\n]/u;

/** Runs a command on a terminal of its own; what the terminal shows is its standard output. */
function onTerminal(command: string, { columns = 100, env = {} } = {}): StartedCommand {
  const main = resolve(import.meta.dirname, '../../src/main.ts');
  const line = `stty cols ${columns}; exec ${process.execPath} ${main} ${command}`;
  const program = [script, '-qfec', line, '/dev/null'] as const;
  return startCommand([], { ...options, env: { ...options.env, ...env }, program, input: 'pipe' });
}

const type = ({ child }: StartedCommand, keys: string): void => void child.stdin!.write(keys);
/** The server's process that the rows come from, once some have come. */
async function untilCopying({ child }: StartedCommand): Promise<number> {
  while (child.exitCode === null) {
    const { rows } = await sql<{ pid: number }>`SELECT pid FROM pg_stat_progress_copy
      WHERE command = 'COPY TO' AND tuples_processed > 100`.execute(live.queries);
    if (rows[0] !== undefined) return rows[0].pid;
  }
  throw new Error('the backup ended before it was seen to read rows');
}

const listed = (): string[] => readdirSync(join(data, 'backups/backups'));

let server: DatabaseServer;
let live: Database;

describe('on a terminal', { timeout: 240_000 }, () => {
  beforeAll(async () => {
    if (!existsSync(script)) return;
    await startCommand(['serve'], { ...options, runMs: 300_000 }).saw(/Stop with Ctrl-C/);
    const connection = attachEmbedded({ directory: postgresDirectory(data), liveName: 'malbork' })!;
    server = await connectPostgresql({ server: connection });
    live = server.open('malbork', { connections: 1 });
    await addUsers(live, 150_000);
  });

  beforeEach(({ skip }) => {
    if (!existsSync(script)) skip('needs /usr/bin/script of the Debian package bsdutils');
  });

  afterAll(async () => {
    await live?.close();
    await server?.close();
    killAll(data);
  });

  it('shows a bar with rate and estimate while a backup reads rows, and takes it away', async () => {
    const backup = onTerminal('backup create');
    await backup.saw(/reading rows {2}\[/);
    // A rate takes half a second to be one: for so long the server reads no further.
    const reader = await untilCopying(backup);
    process.kill(reader, 'SIGSTOP');
    await sleep(700);
    process.kill(reader, 'SIGCONT');
    const { exitCode, stdout } = await backup.ended;
    expect(exitCode, stdout).toBe(0);
    expect(stdout).toMatch(
      /reading rows {2}\[#+\.*\] {2} *\d+ % {2}\d\S* [KM]iB of \d\S* [KM]iB {2}\d\S* [KM]iB\/s {2}\d\S* m?s left/,
    );
    const recovery = stdout.split('\n').find((line) => line.includes('Recovery line'));
    expect(recovery).toMatch(/\r\p{Cc}\[KRecovery[^\r]*\r$/u);
    expect(stdout).toMatch(/Backup\S* \S*\d{8}T\d{6}Z-\w{6}\S* in /);
  });

  it('shows its progress where the terminal does not know how wide it is', async () => {
    const backup = onTerminal('backup create', { columns: 0 });
    expect(await backup.ended).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('reading rows') });
  });

  it('breaks no word at the edge of the terminal', async () => {
    for (const command of ['backup create', 'status', 'restore plan latest', 'backup list', 'backup verify nonsense']) {
      const { stdout } = await onTerminal(command, { columns: 50, env: { NO_COLOR: '1' } }).ended;
      const wide = stdout.split('\r\n').filter((line) => line.length > 50 && line.trim().includes(' '));
      expect(wide, command).toEqual([]);
      expect(stdout.split('\r\n').length, command).toBeGreaterThan(2);
    }
  });

  it.each([
    ['no', 'n\n'],
    ['nothing', '\n'],
    ['Ctrl-D', '\u0004'],
    ['Ctrl-C', '\u0003'],
  ])('restores nothing when %s is answered', async (_, keys) => {
    const [before, identity] = [listed(), await server.databaseIdentity('malbork')];
    const restore = onTerminal('restore run latest');
    await restore.saw(/Restore \S+ and serve it in place of what serves now\? \[y\/N\] /);
    type(restore, keys);
    const { exitCode, stdout } = await restore.ended;
    expect(exitCode, stdout).toBe(130);
    expect(stdout).toMatch(keys === '\u0003' ? /Error:\S* interrupted/ : /declined; nothing was changed/);
    expect(listed()).toEqual(before);
    expect(await server.databaseIdentity('malbork')).toBe(identity);
    expect(await server.databaseNames('malbork')).toEqual(['malbork']);
  });

  it('restores when the answer is y', async () => {
    const identity = await server.databaseIdentity('malbork');
    const restore = onTerminal('restore run latest');
    const [, id] = await restore.saw(/Restore (\S+) and serve it in place of what serves now\? \[y\/N\] /);
    type(restore, 'y\n');
    const { exitCode, stdout } = await restore.ended;
    expect(exitCode, stdout).toBe(0);
    expect(stdout).toMatch(new RegExp(`Restored\\S* \\S*${id}`));
    expect(await server.databaseIdentity('malbork')).not.toBe(identity);
  });

  it.each([{ TERM: 'dumb' }, { NO_COLOR: '1' }])('draws no bar and no colours with %o', async (env) => {
    for (const command of ['backup create', 'status']) {
      const { exitCode, stdout } = await onTerminal(command, { env }).ended;
      expect(exitCode, stdout).toBe(0);
      // The terminal itself ends its lines so.
      expect(stdout.replaceAll('\r\n', '\n')).not.toMatch(controlCharacters);
    }
  });

  it('and only there writes control characters', async () => {
    const { exitCode, stdout, stderr } = await runCommand(['backup', 'create'], options);
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/^Backup /);
    expect(`${stdout}${stderr}`).not.toMatch(controlCharacters);
  });
});
