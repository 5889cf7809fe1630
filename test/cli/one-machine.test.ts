import { createServer } from 'node:net';
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { z } from 'zod';
import { commandName } from '#cli/command.ts';
import { commands } from '#cli/commands.ts';
import { runCommand, runJson, startCommand, type StartedCommand } from '../fixtures/command.ts';
import { temporaryDirectory } from '../fixtures/host.ts';

/** The document of a command, held to its schema: nothing missing, nothing more. */
async function documentOf(name: string, dataDirectory: string, more: readonly string[] = []): Promise<unknown> {
  const document = await runJson([...name.split(' '), ...more], { dataDirectory });
  expectSchema(name, document);
  return document;
}

function expectSchema(name: string, document: unknown): void {
  const command = commands.find((candidate) => commandName(candidate) === name)!;
  expect(command.result(z).parse(document)).toEqual(document);
}

async function startServe(
  dataDirectory: string,
  env: Record<string, string> = {},
): Promise<StartedCommand & { readonly address: string }> {
  const serve = startCommand(['serve'], { dataDirectory, env });
  onTestFinished(() => void serve.child.kill('SIGKILL'));
  const [, address] = await serve.saw(/it is up at (http:\S+)[^]*Stop with Ctrl-C/);
  return { ...serve, address: address! };
}

const errorOf = (stdout: string): { code: string; message: string; hint: string } =>
  (JSON.parse(stdout) as { error: { code: string; message: string; hint: string } }).error;

const data = temporaryDirectory();
// Twenty processes one after another: what was compiled once is not compiled again.
process.env['NODE_COMPILE_CACHE'] = join(temporaryDirectory(), 'compiled');

/** Without the only host nobody would open the backups. */
async function provesItself(): Promise<void> {
  const { nodeId, epochs } = z
    .object({ nodeId: z.string(), epochs: z.array(z.number()) })
    .parse(await documentOf('node probe', data));
  expect(epochs).toEqual([1]);
  expect(await documentOf('openability', data)).toMatchObject({
    nodes: [{ nodeId }],
    lost: [],
    warnings: [{ code: 'few-hosts' }, { code: 'software-sealing' }],
  });
  const alone = await runCommand(['openability', '--without', nodeId, '--json'], { dataDirectory: data });
  expect(alone.exitCode, alone.stderr).toBe(1);
  const document: unknown = JSON.parse(alone.stdout);
  expectSchema('openability', document);
  expect(document).toMatchObject({ nodes: [], backups: [{ openableBy: [] }, {}], warnings: [{ code: 'no-opener' }] });
}

describe('one machine', { timeout: 240_000 }, () => {
  beforeAll(async () => {
    const serve = startCommand(['serve', '--json'], { dataDirectory: data });
    await serve.saw(/\n\}\n$/);
    serve.child.kill('SIGINT');
    serve.child.kill('SIGINT');
    const { exitCode, stdout, stderr } = await serve.ended;
    expect(exitCode, stderr).toBe(0);
    const document: unknown = JSON.parse(stdout);
    expectSchema('serve', document);
    expect(document).toMatchObject({
      outcome: 'created',
      embeddedDatabase: true,
      drilled: { tables: 16 },
      status: {
        healthy: true,
        backups: 1,
        lastBackup: { kind: 'scheduled', sequence: 1 },
        lastDrill: { passed: true },
      },
    });
  });

  it('answers every question about itself with a document of its schema, with and without a running manager', async () => {
    expect(await documentOf('status', data)).toMatchObject({ healthy: true });
    const serve = await startServe(data);
    const created = await documentOf('backup create', data);
    expect(created).toMatchObject({ kind: 'manual', sequence: 2, newChunks: 0, tables: 16 });
    expect(await documentOf('backup list', data)).toMatchObject([
      { sequence: 2, authentic: true },
      { sequence: 1, authentic: true, lastDrill: { passed: true } },
    ]);
    expect(await documentOf('backup show', data, ['latest'])).toMatchObject({ sequence: 2, warnings: [] });
    expect(await documentOf('backup verify', data, ['latest'])).toMatchObject({ healed: [] });
    expect(await documentOf('backup drill', data, ['latest'])).toMatchObject({ tables: 16 });
    expect(await documentOf('restore plan', data)).toMatchObject({ openableHere: true, obstacles: [] });
    expect(await documentOf('node list', data)).toMatchObject([{ thisHost: true, epochs: [1] }]);
    await provesItself();
    expect(await documentOf('node invite', data)).toMatchObject({ expiresInMs: 86_400_000 });
    expect((await runCommand(['node', 'invite'], { dataDirectory: data })).stderr).toContain(
      'no other machine reaches',
    );
    expect(await documentOf('keys status', data)).toMatchObject({ keyGeneration: 1, currentEpoch: 1 });
    expect(await documentOf('database status', data)).toMatchObject({
      exists: true,
      servers: [{ processId: serve.child.pid }],
    });
    expect(await documentOf('database migrate', data)).toMatchObject({});
    expect(await documentOf('audit list', data, ['--limit', '1'])).toMatchObject([{ action: 'node invited' }]);
    expect(await documentOf('audit verify', data)).toMatchObject({ events: expect.any(Number) });
    expect(await documentOf('config show', data)).toMatchObject({ problems: [] });
    // Nobody can be asked here; what was named wrongly is said first.
    const unasked = ['restore run 20200101T000000Z-aaaaaa', 'node evict host-z', 'restore run latest'];
    const exits = await Promise.all(unasked.map((command) => runCommand(command.split(' '), { dataDirectory: data })));
    expect(exits.map(({ exitCode }) => exitCode)).toEqual([3, 3, 2]);
    const restored = await documentOf('restore run', data, ['latest', '--yes']);
    expect(restored).toMatchObject({ sequence: 2, tables: 16 });
    expect(await documentOf('restore rollback', data, ['--yes'])).toMatchObject({ discarded: expect.any(Array) });
    expect(await documentOf('restore cleanup', data, ['--yes'])).toMatchObject({ dropped: [{ role: 'before' }] });
    const readiness = await fetch(`${serve.address}/readyz`);
    expect([readiness.status, await readiness.json()]).toEqual([200, { ready: true, reasons: [], commands: [] }]);
    serve.child.kill('SIGTERM');
    const { exitCode, stderr } = await serve.ended;
    expect(exitCode, stderr).toBe(0);
    expect(stderr).toMatch(/paused for a restore by restore run .*\n.*incarnation 2\n[^]*incarnation 3/);
  });

  it('refuses a second start with 17, and the first goes on', async () => {
    const serve = await startServe(data);
    const second = await runCommand(['serve', '--json'], { dataDirectory: data });
    expect(second.exitCode).toBe(17);
    expect(errorOf(second.stdout)).toMatchObject({
      code: 'data-directory-in-use',
      message: expect.stringContaining(`${serve.child.pid}`),
    });
    expect((await fetch(`${serve.address}/readyz`)).status).toBe(200);
    const begunMs = performance.now();
    serve.child.kill('SIGTERM');
    expect((await serve.ended).exitCode).toBe(0);
    expect(performance.now() - begunMs).toBeLessThan(10_000);
  });

  it('finds its state after kill -9', async () => {
    const killed = await startServe(data);
    killed.child.kill('SIGKILL');
    await killed.ended;
    const serve = await startServe(data);
    expect((await fetch(`${serve.address}/livez`)).status).toBe(200);
    serve.child.kill('SIGINT');
    expect(await serve.ended).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('found its state') });
  });

  it('ends with 14 when its embedded database is killed under it', async () => {
    const serve = await startServe(data);
    const [postmaster] = readFileSync(join(data, 'postgres/cluster/postmaster.pid'), 'utf8').split('\n');
    process.kill(Number(postmaster), 'SIGKILL');
    expect(await serve.ended).toMatchObject({ exitCode: 14, stderr: expect.stringContaining('ended under us') });
    expect(await documentOf('status', data)).toMatchObject({ healthy: true });
  });

  it('creates nothing beside a filled repository, says how to restore, and restores', async () => {
    const lost = temporaryDirectory();
    cpSync(data, lost, { recursive: true });
    rmSync(join(lost, 'postgres'), { recursive: true });
    const refused = await runCommand(['serve', '--json'], { dataDirectory: lost });
    expect(refused.exitCode).toBe(12);
    expect(errorOf(refused.stdout)).toMatchObject({
      code: 'restore-needed',
      hint: expect.stringContaining('restore run latest'),
    });
    expect(await documentOf('restore run', lost, ['latest', '--yes'])).toMatchObject({
      beforeDatabase: null,
      safetyBackupId: null,
    });
    expect(await documentOf('status', lost)).toMatchObject({ healthy: true });
  });

  it('restores on an empty machine that has only repository and key, once it knows the cluster key', async () => {
    const empty = temporaryDirectory();
    cpSync(join(data, 'keys'), join(empty, 'keys'), { recursive: true });
    cpSync(join(data, 'backups'), join(empty, 'backups'), { recursive: true });
    const asked = await runCommand(['restore', 'run', 'latest', '--yes', '--json'], { dataDirectory: empty });
    expect([asked.exitCode, errorOf(asked.stdout).hint]).toEqual([2, expect.stringContaining('--cluster-key')]);
    const withKey = async (key: string): Promise<number | null> =>
      (await runCommand(['restore', 'run', 'latest', '--yes', '--cluster-key', key], { dataDirectory: empty }))
        .exitCode;
    expect([await withKey('sha256:x'), await withKey(`sha256:${'x'.repeat(43)}`)]).toEqual([2, 20]);
    const { clusterKey } = z.object({ clusterKey: z.string() }).parse(await documentOf('restore plan', empty));
    const restored = await documentOf('restore run', empty, ['latest', '--yes', '--cluster-key', clusterKey]);
    expect(restored).toMatchObject({ tables: 16, beforeDatabase: null });
    const serve = await startServe(empty);
    serve.child.kill('SIGTERM');
    expect(await serve.ended).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('found its state') });
  });

  it('lists on a host without a key, and refuses to restore there, naming the host that can', async () => {
    const stranger = temporaryDirectory();
    const env = { ENCLAVE_MANAGER_REPOSITORY: join(data, 'backups') };
    const listed = await runCommand(['backup', 'list', '--json'], { dataDirectory: stranger, env });
    expect(listed.exitCode).toBe(0);
    const backups = JSON.parse(listed.stdout) as { authentic: unknown; openableBy: unknown[] }[];
    expect(backups.length).toBeGreaterThan(0);
    expect(backups.every(({ authentic, openableBy }) => authentic === 'unknown' && openableBy.length === 0)).toBe(true);
    const table = (await runCommand(['backup', 'list'], { dataDirectory: stranger, env })).stdout;
    expect(table.match(/ unknown {2,}unknown {2,}unknown {2,}unknown\n/g)).toHaveLength(backups.length);
    const refused = await runCommand(['restore', 'run', 'latest', '--yes', '--json'], { dataDirectory: stranger, env });
    expect([refused.exitCode, errorOf(refused.stdout).code]).toEqual([21, 'no-key']);
  });

  it('runs without backups when told so, and is not healthy then', async () => {
    const bare = temporaryDirectory();
    const env = { ENCLAVE_MANAGER_REPOSITORY: 'none' };
    const serve = await startServe(bare, env);
    const status = await runCommand(['status', '--json'], { dataDirectory: bare, env });
    expect(status.exitCode).toBe(1);
    expect(JSON.parse(status.stdout)).toMatchObject({ healthy: false, repository: null });
    expect(status.stdout).toContain('"no-repository"');
    expect((await runCommand(['backup', 'list'], { dataDirectory: bare, env })).exitCode).toBe(10);
    serve.child.kill('SIGTERM');
    expect((await serve.ended).exitCode).toBe(0);
  });

  it('names the variable when its port is taken or its directory cannot be used', async () => {
    const blocker = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => blocker.once('listening', resolve));
    onTestFinished(() => void blocker.close());
    const { port } = blocker.address() as { port: number };
    const env = { ENCLAVE_MANAGER_LISTEN: `127.0.0.1:${port}` };
    const taken = await runCommand(['serve', '--json'], { dataDirectory: temporaryDirectory(), env });
    expect([taken.exitCode, errorOf(taken.stdout).message]).toEqual([
      10,
      expect.stringContaining(`ENCLAVE_MANAGER_LISTEN=127.0.0.1:${port}`),
    ]);
    const file = join(temporaryDirectory(), 'file');
    writeFileSync(file, '');
    for (const dataDirectory of [file, '/proc/enclave-manager']) {
      const unusable = await runCommand(['serve', '--json'], { dataDirectory });
      expect([unusable.exitCode, errorOf(unusable.stdout)]).toEqual([
        10,
        expect.objectContaining({
          message: expect.stringContaining(dataDirectory),
          hint: expect.stringContaining('ENCLAVE_MANAGER_DATA_DIR'),
        }),
      ]);
    }
  });
});
