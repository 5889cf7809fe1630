import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { once } from 'node:events';
import { describe, expect, it, onTestFinished } from 'vitest';
import { startHealthServer } from '#http/health-server.ts';
import { notReady, ready, type Readiness } from '#model/readiness.ts';
import { chart } from './helm.ts';

const script = (name: string): string => join(chart, 'charts/enclaveos-chart/files', name);

/**
 * Stands in for the program of the database, which cannot be had here: it writes down how it was called, and answers
 * what the files `answer-…` beside it say; `failures` is how often in a row it fails first.
 */
const standIn = `#!/bin/bash
printf '%s\\n' "$*" >>calls
[[ $1 != init ]] || touch initialised
[[ ! -e needs-init || -e initialised ]] || exit 1
left=$(cat failures 2>/dev/null || echo 0)
if [[ $* != *'SELECT 1' && $left -gt 0 ]]; then echo $((left - 1)) >failures; exit 1; fi
case $* in
  *pg_roles*) printf 'count\\n%s\\n' "$(cat answer-roles)" ;;
  *pg_database*) printf 'count\\n%s\\n' "$(cat answer-databases)" ;;
esac
`;

interface World {
  readonly directory: string;
  write(name: string, text: string): void;
  calls(): string[];
}

function makeWorld(): World {
  const directory = mkdtempSync(join(tmpdir(), 'enclave-manager-scripts-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const write = (name: string, text: string): void => writeFileSync(join(directory, name), text);
  write('cockroach', standIn);
  chmodSync(join(directory, 'cockroach'), 0o755);
  write('answer-roles', '0');
  write('answer-databases', '0');
  write('calls', '');
  return { directory, write, calls: () => readFileSync(join(directory, 'calls'), 'utf8').trimEnd().split('\n') };
}

/** Until it says that it is done; it is then asked to end, as the kubelet does. */
async function prepare({ directory }: World, env: Readonly<Record<string, string>> = {}): Promise<number | null> {
  const prepared = join(directory, 'prepared');
  const settings = { SECURITY: '--insecure', NODES: '1', HOSTNAME: 'db-0', PREPARED: prepared, ...env };
  const child = spawn('bash', [script('prepare.sh')], {
    cwd: directory,
    env: { ...process.env, ...settings },
    stdio: ['ignore', 'ignore', 'ignore'],
    detached: true,
  });
  onTestFinished(() => {
    if (child.exitCode === null) process.kill(-child.pid!, 'SIGKILL');
  });
  await expect.poll(() => existsSync(prepared), { timeout: 30_000 }).toBe(true);
  const ended = once(child, 'exit');
  // Its sleep is a child of its own; in a container both end with the first process.
  process.kill(-child.pid!, 'SIGTERM');
  const [code] = (await ended) as [number | null];
  return code;
}

const asRoot = (statement: string): string =>
  `sql --insecure --user=root --host=localhost:26257 --format=csv --execute=${statement}`;
const changes = (calls: readonly string[]): string[] =>
  calls.filter((call) => !call.includes('SELECT')).map((call) => call.replace(/^.*--user=(\w+).*--execute=/, '$1: '));
const grant = 'root: GRANT CONNECT ON DATABASE postgres TO enclave_manager';

describe('prepare.sh', { timeout: 60_000 }, () => {
  it('makes role and database on a new server, the database as the one whom it is to belong to, and ends at once', async () => {
    const world = makeWorld();
    expect(await prepare(world)).toBe(0);
    expect(world.calls()[0]).toBe(asRoot('SELECT 1'));
    expect(changes(world.calls())).toEqual([
      'root: CREATE USER enclave_manager WITH CREATEDB',
      grant,
      'enclave_manager: CREATE DATABASE malbork',
    ]);
  });

  it('creates nothing where the database is there, under whichever name', async () => {
    const world = makeWorld();
    world.write('answer-roles', '1');
    world.write('answer-databases', '2');
    await prepare(world);
    expect(changes(world.calls())).toEqual([grant]);
  });

  it('tries again whatever failed, rather than taking it for done', async () => {
    const world = makeWorld();
    world.write('failures', '3');
    await prepare(world);
    expect(readFileSync(join(world.directory, 'failures'), 'utf8')).toBe('0\n');
    expect(changes(world.calls()).at(-1)).toBe('enclave_manager: CREATE DATABASE malbork');
  });

  it('has the first of several nodes begin the cluster, with certificates', async () => {
    const world = makeWorld();
    world.write('needs-init', '');
    await prepare(world, { NODES: '3', SECURITY: '--certs-dir=/certs' });
    expect(world.calls()).toContain('init --certs-dir=/certs --host=localhost:26257');
    expect(world.calls().filter((call) => call.includes('--insecure'))).toEqual([]);
  });

  it('leaves that to the first', async () => {
    const world = makeWorld();
    await prepare(world, { NODES: '3', HOSTNAME: 'db-1' });
    expect(world.calls().filter((call) => call.startsWith('init'))).toEqual([]);
  });
});

describe('start.sh', () => {
  const settings = { SECURITY: '--insecure', CACHE: '.25', MAX_SQL_MEMORY: '.25', JOIN: 'a:26257,b:26257' };
  const start = (nodes: string): string[] => {
    const world = makeWorld();
    const env = { ...process.env, ...settings, NODES: nodes };
    expect(spawnSync('bash', [script('start.sh')], { cwd: world.directory, env }).status).toBe(0);
    return world.calls()[0]!.split(' ');
  };

  it('starts one node alone, and several that join each other', () => {
    const [one, three] = [start('1'), start('3')];
    expect([one[0], one.some((word) => word.startsWith('--join'))]).toEqual(['start-single-node', false]);
    expect([three[0], three.at(-1)]).toEqual(['start', '--join=a:26257,b:26257']);
    for (const words of [one, three]) {
      expect(words).toContain('--store=/cockroach/cockroach-data');
      expect(words.find((word) => word.startsWith('--advertise-host='))).toMatch(/=.+/);
    }
  });
});

async function probe(readiness: Readiness) {
  const server = await startHealthServer({ host: '127.0.0.1', port: 0, readiness: () => readiness });
  try {
    const child = spawn('bash', ['-c', readFileSync(script('readiness.sh'), 'utf8')], {
      env: { ...process.env, ENCLAVE_MANAGER_LISTEN: new URL(server.address).host },
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const printed: Buffer[] = [];
    child.stdout.on('data', (bytes: Buffer) => void printed.push(bytes));
    const [code] = (await once(child, 'close')) as [number];
    return { code, answer: JSON.parse(Buffer.concat(printed).toString()) as unknown };
  } finally {
    await server.close();
  }
}

describe('readiness.sh', () => {
  it('prints what /readyz says, and passes when it is ready', async () => {
    expect(await probe(ready)).toEqual({ code: 0, answer: expect.objectContaining({ ready: true }) as unknown });
    expect(await probe(notReady('it waits', { commands: ['do this'] }))).toEqual({
      code: 1,
      answer: { ready: false, reasons: ['it waits'], commands: ['do this'] },
    });
  });

  it('fails where nothing listens', () => {
    const env = { ...process.env, ENCLAVE_MANAGER_LISTEN: '127.0.0.1:1' };
    expect(spawnSync('bash', [script('readiness.sh')], { env }).status).toBe(1);
  });
});
