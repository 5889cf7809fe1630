import { symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { z } from 'zod';
import { runCommand, runJson, startCommand, type CommandOptions, type StartedCommand } from '../fixtures/command.ts';
import { freePort } from '../fixtures/free-port.ts';
import { temporaryDirectory } from '../fixtures/host.ts';
import { freshDatabaseName, startTestServer } from '../fixtures/postgresql.ts';

// Many processes one after another: what was compiled once is not compiled again.
process.env['NODE_COMPILE_CACHE'] = join(temporaryDirectory(), 'compiled');

interface Shared {
  readonly env: Record<string, string>;
  readonly drop: () => Promise<void>;
}

/** One database server and one repository for hosts that each have a data directory of their own. */
async function makeShared(): Promise<Shared> {
  const { connection, server } = await startTestServer();
  const name = freshDatabaseName();
  const url = `postgres://${connection.user}@/${name}?host=${connection.host}`;
  const passwordFile = join(temporaryDirectory(), 'password');
  writeFileSync(passwordFile, `${connection.password}\n`);
  const env = {
    ENCLAVE_MANAGER_DATABASE_URL: url,
    ENCLAVE_MANAGER_DATABASE_PASSWORD_FILE: passwordFile,
    ENCLAVE_MANAGER_REPOSITORY: temporaryDirectory(),
    ENCLAVE_MANAGER_SEALING: 'software',
    ENCLAVE_MANAGER_DRILL_SCHEDULE: '',
  };
  return { env, drop: () => server.dropDatabase(name) };
}

function serveOn(dataDirectory: string, env: Record<string, string>): StartedCommand {
  const serve = startCommand(['serve'], { dataDirectory, env });
  onTestFinished(() => void serve.child.kill('SIGKILL'));
  return serve;
}

async function stop(serve: StartedCommand): Promise<void> {
  serve.child.kill('SIGTERM');
  const { exitCode, stderr } = await serve.ended;
  expect(exitCode, stderr).toBe(0);
}

/** On host-b of host-a at no site and host-b in the east: one backup, made before host-b joined. */
async function provesAndWarns(onSecond: CommandOptions): Promise<void> {
  expect(await runJson(['node', 'probe'], onSecond)).toMatchObject({ name: 'host-b', epochs: [1] });
  const nodes = [
    { name: 'host-a', lastProof: { epochs: [1] } },
    { name: 'host-b', lastProof: { epochs: [1] } },
  ];
  const both = await runJson(['openability'], onSecond);
  const software = { code: 'software-sealing' };
  expect(both).toMatchObject({
    nodes,
    backups: [{ sites: 1 }],
    warnings: [{ code: 'few-sites', message: expect.stringContaining('the site of host-a is not known') }, software],
    lost: [],
  });
  const oneLeft = await runJson(['openability', '--without', 'host-a'], onSecond);
  expect(oneLeft).toMatchObject({
    nodes: [{ name: 'host-b' }],
    backups: [{ sites: 1 }],
    warnings: [{ code: 'few-hosts' }, { code: 'software-sealing' }],
  });
  const nobody = await runCommand(['openability', '--without', 'host-z'], onSecond);
  expect([nobody.exitCode, nobody.stderr]).toEqual([3, expect.stringContaining('no enrolled host is called host-z')]);
}

describe('several hosts', { timeout: 240_000 }, () => {
  it('enrols a second host, which then opens a backup made before it joined', async () => {
    const { env } = await makeShared();
    const [first, second] = [temporaryDirectory(), temporaryDirectory()];
    const serve = serveOn(first, { ...env, ENCLAVE_MANAGER_NODE_NAME: 'host-a' });
    await serve.saw(/Stop with Ctrl-C/);
    const onSecond = {
      dataDirectory: second,
      env: { ...env, ENCLAVE_MANAGER_NODE_NAME: 'host-b', ENCLAVE_MANAGER_SITE: 'east' },
    };
    expect((await runCommand(['backup', 'drill', 'latest'], onSecond)).exitCode).toBe(21);
    const invite = z
      .object({ token: z.string() })
      .parse(await runJson(['node', 'invite'], { dataDirectory: first, env }));
    const tokenFile = join(temporaryDirectory(), 'token');
    writeFileSync(tokenFile, invite.token);
    const nowhere = await runCommand(['node', 'enrol', '--token-file', tokenFile], {
      dataDirectory: temporaryDirectory(),
    });
    expect([nowhere.exitCode, nowhere.stderr]).toEqual([
      10,
      expect.stringMatching(/Set ENCLAVE_MANAGER_DATABASE_URL .* postgres:..USER@HOST.malbork/),
    ]);
    const enrolled = await runJson(['node', 'enrol', '--token-file', tokenFile], onSecond);
    expect(enrolled).toMatchObject({ name: 'host-b', epochs: [1] });
    expect(await runJson(['node', 'list'], onSecond)).toMatchObject([
      { name: 'host-a', thisHost: false, epochs: [1] },
      { name: 'host-b', site: 'east', thisHost: true, epochs: [1] },
    ]);
    expect((await runCommand(['backup', 'drill', 'latest'], onSecond)).exitCode).toBe(0);
    await provesAndWarns(onSecond);
    const again = await runCommand(['node', 'enrol', '--token-file', tokenFile, '--wait', '20'], {
      dataDirectory: temporaryDirectory(),
      env,
    });
    expect([again.exitCode, again.stderr]).toEqual([40, expect.stringContaining('used already')]);
    await stop(serve);
  });

  it('says of a database that was moved elsewhere which is the live one, in every command and on /readyz', async () => {
    const { env } = await makeShared();
    const dataDirectory = temporaryDirectory();
    const made = serveOn(dataDirectory, env);
    await made.saw(/Stop with Ctrl-C/);
    await stop(made);
    const url = env['ENCLAVE_MANAGER_DATABASE_URL']!;
    const elsewhere = { ...env, ENCLAVE_MANAGER_DATABASE_URL: url.replace(/[^/]*(?=\?host)/, freshDatabaseName()) };
    await runJson(['restore', 'run', 'latest', '--yes'], { dataDirectory, env: elsewhere });
    const { id } = z
      .object({ id: z.string() })
      .parse(await runJson(['backup', 'create'], { dataDirectory, env: elsewhere }));

    const refused = await runCommand(['backup', 'create', '--json'], { dataDirectory, env });
    expect([refused.exitCode, JSON.parse(refused.stdout)]).toMatchObject([12, { error: { code: 'superseded' } }]);
    const status = await runCommand(['status', '--json'], { dataDirectory, env });
    expect([status.exitCode, JSON.parse(status.stdout)]).toMatchObject([
      1,
      { lastBackup: { id }, findings: expect.arrayContaining([expect.objectContaining({ code: 'superseded' })]) },
    ]);
    const listen = `127.0.0.1:${await freePort()}`;
    const old = serveOn(dataDirectory, { ...env, ENCLAVE_MANAGER_LISTEN: listen });
    await old.saw(/Stop with Ctrl-C/);
    const readiness = async () =>
      z.object({ reasons: z.array(z.string()) }).parse(await (await fetch(`http://${listen}/readyz`)).json());
    await expect.poll(async () => (await readiness()).reasons[0], { timeout: 60_000 }).toContain('has incarnation 2');
    await stop(old);

    await runJson(['backup', 'create', '--take-over'], { dataDirectory, env });
    expect((await runCommand(['backup', 'create'], { dataDirectory, env: elsewhere })).exitCode).toBe(12);
    expect(await runJson(['status'], { dataDirectory, env })).toMatchObject({ healthy: true });
  });

  it('stays up beside an empty database, says on /readyz what restores it, and serves once it is restored', async () => {
    const { env, drop } = await makeShared();
    const dataDirectory = temporaryDirectory();
    const made = serveOn(dataDirectory, env);
    await made.saw(/Stop with Ctrl-C/);
    await stop(made);
    await drop();
    const listen = `127.0.0.1:${await freePort()}`;
    const waiting = serveOn(dataDirectory, { ...env, ENCLAVE_MANAGER_LISTEN: listen });
    await waiting.saw(/Waiting until it is restored/);
    const readiness = await fetch(`http://${listen}/readyz`);
    expect([readiness.status, await readiness.json()]).toMatchObject([
      503,
      { ready: false, commands: ['enclave-manager restore plan latest', 'enclave-manager restore run latest'] },
    ]);
    expect((await fetch(`http://${listen}/livez`)).status).toBe(200);
    const restored = await runCommand(['restore', 'run', 'latest', '--yes', '--json'], { dataDirectory, env });
    expect(restored.exitCode, restored.stderr + restored.stdout).toBe(0);
    await waiting.saw(/Stop with Ctrl-C/);
    expect((await fetch(`http://${listen}/readyz`)).status).toBe(200);
    await stop(waiting);
  });

  it('waits for the database and then for its enrolment, says what brings it, and serves once it is enrolled', async () => {
    const { env } = await makeShared();
    const first = temporaryDirectory();
    const onFirst = { dataDirectory: first, env: { ...env, ENCLAVE_MANAGER_NODE_NAME: 'host-a' } };
    const serve = serveOn(first, onFirst.env);
    await serve.saw(/Stop with Ctrl-C/);
    const url = new URL(env['ENCLAVE_MANAGER_DATABASE_URL']!.replace('@/', '@localhost/'));
    const socketLink = join(temporaryDirectory(), 's');
    const [dataDirectory, listen] = [temporaryDirectory(), `127.0.0.1:${await freePort()}`];
    const second = {
      ...env,
      ENCLAVE_MANAGER_NODE_NAME: 'host-b',
      ENCLAVE_MANAGER_DATABASE_URL: `postgres://${url.username}@${url.pathname}?host=${socketLink}`,
      ENCLAVE_MANAGER_LISTEN: listen,
      ENCLAVE_MANAGER_WAIT: '1',
      ENCLAVE_MANAGER_COMMAND: 'kubectl exec deploy/managers -- enclave-manager',
      ENCLAVE_MANAGER_COMMAND_HERE: 'kubectl exec -i this-pod -- enclave-manager',
    };
    const waiting = serveOn(dataDirectory, second);
    const readyz = async () => {
      const answer = await fetch(`http://${listen}/readyz`);
      return [answer.status, await answer.json()];
    };
    await waiting.saw(/cannot be reached|did not answer|ENOENT/);
    expect(await readyz()).toMatchObject([503, { ready: false, commands: [] }]);

    symlinkSync(url.searchParams.get('host')!, socketLink);
    await waiting.saw(/Enrolled hosts, by unverified documents: host-a/);
    const enrol = [
      'kubectl exec deploy/managers -- enclave-manager node invite',
      'kubectl exec -i this-pod -- enclave-manager node enrol --token-file -',
    ];
    expect(await readyz()).toMatchObject([503, { ready: false, commands: enrol }]);
    expect(await runJson(['node', 'list'], onFirst)).toMatchObject([{ name: 'host-a' }]);

    const { token } = z.object({ token: z.string() }).parse(await runJson(['node', 'invite'], onFirst));
    const tokenFile = join(temporaryDirectory(), 'token');
    writeFileSync(tokenFile, token);
    await runJson(['node', 'enrol', '--token-file', tokenFile], { dataDirectory, env: second });
    await waiting.saw(/Stop with Ctrl-C/);
    expect(await readyz()).toMatchObject([200, { ready: true }]);
    await stop(waiting);
    await stop(serve);
  });

  it('says that the database cannot be reached, without its password', async () => {
    const { env } = await makeShared();
    const url = 'postgres://somebody:hunter2@127.0.0.1:1/malbork';
    const { ENCLAVE_MANAGER_DATABASE_PASSWORD_FILE: _, ...rest } = env;
    const failed = await runCommand(['serve', '--json'], {
      dataDirectory: temporaryDirectory(),
      env: { ...rest, ENCLAVE_MANAGER_DATABASE_URL: url },
    });
    expect(failed.exitCode).toBe(14);
    expect(failed.stdout + failed.stderr).not.toContain('hunter2');
  });
});
