import { generateKeyPairSync } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { z } from 'zod';
import { runCommand, runJson, startCommand } from '../fixtures/command.ts';
import { temporaryDirectory } from '../fixtures/host.ts';
import { freshDatabaseName, startTestServer } from '../fixtures/postgresql.ts';
import { swtpmUnavailable, TestTpm } from '../fixtures/swtpm.ts';

beforeEach((context) => {
  if (swtpmUnavailable !== undefined) context.skip(swtpmUnavailable);
});

interface Machine {
  readonly dataDirectory: string;
  readonly env: Record<string, string>;
}

const quiet = { ENCLAVE_MANAGER_BACKUP_SCHEDULE: '', ENCLAVE_MANAGER_DRILL_SCHEDULE: '' };

const machineWith = (tpm: TestTpm, dataDirectory = temporaryDirectory()): Machine => ({
  dataDirectory,
  env: { ...quiet, ENCLAVE_MANAGER_TPM_TCTI: tpm.tcti },
});

async function serveOnce(machine: Machine, flags: readonly string[] = []): Promise<string> {
  const serve = startCommand(['serve', ...flags], machine);
  onTestFinished(() => void serve.child.kill('SIGKILL'));
  await serve.saw(/Stop with Ctrl-C/);
  serve.child.kill('SIGTERM');
  const { exitCode, stdout, stderr } = await serve.ended;
  expect(exitCode, stderr).toBe(0);
  return `${stdout}${stderr}`.replaceAll(/\s+/g, ' ');
}

async function failureOf(args: readonly string[], machine: Machine) {
  const { exitCode, stdout } = await runCommand([...args, '--json'], machine);
  const { error } = z
    .object({ error: z.object({ code: z.string(), message: z.string(), hint: z.string() }) })
    .parse(JSON.parse(stdout));
  return { exitCode, ...error };
}

/** Repository and nothing else, as on a machine whose disk was lost. */
function onlyRepository({ dataDirectory }: Machine, tpm: TestTpm): Machine {
  const empty = machineWith(tpm);
  cpSync(join(dataDirectory, 'backups'), join(empty.dataDirectory, 'backups'), { recursive: true });
  return empty;
}

describe('a host with a TPM', { timeout: 240_000 }, () => {
  it('goes the whole circle, and only its own TPM opens the backup', async () => {
    const [tpm, other] = [await TestTpm.start(), await TestTpm.start()];
    const machine = machineWith(tpm);
    const said = await serveOnce(machine);
    expect(said).toContain(`sealed by tpm2: a TPM answers at ${tpm.tcti}`);
    expect(said).toContain('the TPM of this host, while it starts as it did');
    expect(existsSync(join(machine.dataDirectory, 'keys'))).toBe(false);
    const backup = z
      .object({ id: z.string(), clusterKey: z.string() })
      .parse(await runJson(['backup', 'create'], machine));
    expect(await runJson(['backup', 'drill', 'latest'], machine)).toMatchObject({ id: backup.id });
    expect(await runJson(['keys', 'status'], machine)).toMatchObject({
      node: { sealingProvider: 'tpm2', grade: 'unattested', hardwareIdentity: expect.stringMatching(/^tpm2:/) },
    });
    await tpm.reboot();

    const recovered = onlyRepository(machine, tpm);
    const restore = ['restore', 'run', 'latest', '--yes', '--cluster-key', backup.clusterKey];
    expect(await runJson(restore, recovered)).toMatchObject({ backupId: backup.id });
    expect(await runJson(['keys', 'status'], recovered)).toMatchObject({
      node: { sealingProvider: 'tpm2', member: true },
    });

    const stolen = onlyRepository(machine, other);
    expect(await failureOf(restore, stolen)).toMatchObject({
      exitCode: 21,
      code: 'no-key',
      message: expect.stringContaining('it was sealed by another TPM'),
    });
    expect(existsSync(join(stolen.dataDirectory, 'postgres'))).toBe(false);
  });

  it('tells a changed start from a missing device, and neither makes a new key', async () => {
    const tpm = await TestTpm.start();
    const machine = machineWith(tpm);
    await serveOnce(machine, ['--sealing', 'tpm2']);
    tpm.extend(0);
    expect(await failureOf(['backup', 'create'], machine)).toMatchObject({
      exitCode: 21,
      message: expect.stringContaining('PCR 0 (firmware) changed'),
      hint: expect.stringContaining('with the old firmware and settings back, the key opens again'),
    });
    await tpm.powerOff();
    expect(await failureOf(['backup', 'create'], machine)).toMatchObject({ exitCode: 15, code: 'sealing-unavailable' });
    await tpm.powerOn();
    expect(await runJson(['backup', 'create'], machine)).toMatchObject({ kind: 'manual' });
  });

  it('opens its key after an update of the firmware that somebody approved elsewhere', async () => {
    const [tpm, reference] = [await TestTpm.start(), await TestTpm.start()];
    const [office, updated] = [temporaryDirectory(), machineWith(reference)];
    const keyFile = join(office, 'approval.key');
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    writeFileSync(keyFile, privateKey.export({ format: 'pem', type: 'pkcs8' }));
    writeFileSync(join(office, 'approval.pub'), publicKey.export({ format: 'pem', type: 'spki' }));
    const plain = machineWith(tpm);
    const machine = { ...plain, env: { ...plain.env, ENCLAVE_MANAGER_TPM_APPROVAL_KEY: join(office, 'approval.pub') } };
    await serveOnce(machine);
    reference.extend(0);
    const measured = await runJson(['node', 'measure'], updated);
    expect(measured).toMatchObject({ sealingProvider: 'tpm2', registers: 'sha256:0,7,14' });
    writeFileSync(join(office, 'next.json'), JSON.stringify(measured));
    const approve = ['node', 'approve-firmware', '--measurements', join(office, 'next.json'), '--approval-key-file'];
    expect(
      await failureOf([...approve, join(office, 'approval.pub')], { dataDirectory: office, env: {} }),
    ).toMatchObject({
      exitCode: 2,
      message: '--approval-key-file names no EC P-256 private key in PEM',
    });
    const approval = await runJson([...approve, keyFile], { dataDirectory: office, env: {} });

    tpm.extend(0);

    expect(await failureOf(['backup', 'create'], machine)).toMatchObject({
      exitCode: 21,
      hint: expect.stringContaining('node approve-firmware'),
    });
    mkdirSync(join(machine.dataDirectory, 'tpm-approvals'));
    writeFileSync(join(machine.dataDirectory, 'tpm-approvals', '2026-12.json'), JSON.stringify(approval));
    expect(await runJson(['backup', 'create'], machine)).toMatchObject({ kind: 'manual' });
  });

  it('is invited by its hardware, and keeps its place when its firmware changes', async () => {
    const { connection, server } = await startTestServer();
    const name = freshDatabaseName();
    const passwordFile = join(temporaryDirectory(), 'password');
    writeFileSync(passwordFile, `${connection.password}\n`);
    const shared = {
      ENCLAVE_MANAGER_DATABASE_URL: `postgres://${connection.user}@/${name}?host=${connection.host}`,
      ENCLAVE_MANAGER_DATABASE_PASSWORD_FILE: passwordFile,
      ENCLAVE_MANAGER_REPOSITORY: temporaryDirectory(),
    };
    const [tpmA, tpmB] = [await TestTpm.start(), await TestTpm.start()];
    const hosts = [machineWith(tpmA), machineWith(tpmB)].map((each, index) => ({
      ...each,
      env: { ...each.env, ...shared, ENCLAVE_MANAGER_NODE_NAME: `host-${'ab'[index]}` },
    }));
    const [first, second] = [hosts[0]!, hosts[1]!];
    const serve = startCommand(['serve'], first);
    onTestFinished(() => void serve.child.kill('SIGKILL'));
    await serve.saw(/Stop with Ctrl-C/);
    const tokenFile = join(temporaryDirectory(), 'token');
    const enrol = async (flags: readonly string[]) => {
      const { token } = z.object({ token: z.string() }).parse(await runJson(['node', 'invite', ...flags], first));
      writeFileSync(tokenFile, token);
      return z
        .object({ nodeId: z.string(), grade: z.string() })
        .parse(await runJson(['node', 'enrol', '--token-file', tokenFile], second));
    };
    const { hardwareIdentity } = z
      .object({ hardwareIdentity: z.string() })
      .parse(await runJson(['node', 'measure'], second));

    const enrolled = await enrol(['--hardware', hardwareIdentity]);
    tpmB.extend(0);
    expect(await failureOf(['keys', 'status'], second)).toMatchObject({ exitCode: 21 });
    const again = await enrol([]);

    expect(enrolled.grade).toBe('tpm2-confirmed');
    expect(again).toEqual(enrolled);
    expect(await runJson(['keys', 'status'], second)).toMatchObject({
      node: { nodeId: enrolled.nodeId, member: true },
    });
    const nodes = await runJson(['node', 'list'], first);
    expect(nodes).toMatchObject([
      { name: 'host-a' },
      { nodeId: enrolled.nodeId, grade: 'tpm2-confirmed', epochs: [1] },
    ]);
    serve.child.kill('SIGTERM');
    expect((await serve.ended).exitCode).toBe(0);
    await server.dropDatabase(name);
  });

  it('keeps to what was decided when it joined', async () => {
    const tpm = await TestTpm.start();
    const machine = machineWith(tpm);
    const software = { ...machine, env: { ...quiet, ENCLAVE_MANAGER_SEALING: 'software' } };
    await serveOnce(software);
    // The TPM is there now, and auto would have taken it.
    expect(await runJson(['keys', 'status'], machine)).toMatchObject({ node: { sealingProvider: 'software' } });
    const tpmNow = { ...machine, env: { ...machine.env, ENCLAVE_MANAGER_SEALING: 'tpm2' } };
    expect(await failureOf(['keys', 'status'], tpmNow)).toMatchObject({
      exitCode: 10,
      message: 'ENCLAVE_MANAGER_SEALING is tpm2, but the key of this host was sealed by software',
    });
    // A lost state does not change that either: the key file is there.
    rmSync(join(machine.dataDirectory, 'state'), { recursive: true });
    expect(await runJson(['keys', 'status'], machine)).toMatchObject({ node: { sealingProvider: 'software' } });
  });

  it('that has none takes a key file beside the embedded database, and nothing beside another one', async () => {
    const machine = { dataDirectory: temporaryDirectory(), env: { ...quiet } };
    const external = { ...machine, env: { ENCLAVE_MANAGER_DATABASE_URL: 'postgres://nobody@127.0.0.1:1/malbork' } };
    expect(await failureOf(['serve'], external)).toMatchObject({
      exitCode: 10,
      message: expect.stringContaining('no sealing hardware can be used with this external database'),
      hint: expect.stringContaining('ENCLAVE_MANAGER_SEALING=software'),
    });
    expect(await serveOnce(machine)).toContain('sealed by software: no hardware can be used');
  });
});
