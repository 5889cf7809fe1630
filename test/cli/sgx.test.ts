import { cpSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { z } from 'zod';
import { GramineDirectory } from '../../src/adapters/sgx/gramine-directory.fixture.ts';
import { runCommand, runJson, startCommand, type CommandOptions } from '../fixtures/command.ts';
import { temporaryDirectory } from '../fixtures/host.ts';

function newEnclave(ppid: number): GramineDirectory {
  const enclave = {
    ppid: Buffer.alloc(16, ppid),
    cpuSvn: Buffer.alloc(16, 5),
    mrSigner: Buffer.alloc(32, 0x51),
    isvSvn: 3,
  };
  const directory = new GramineDirectory(enclave);
  onTestFinished(() => directory.remove());
  return directory;
}

function machineWith({ path }: GramineDirectory): CommandOptions {
  const quiet = { ENCLAVE_MANAGER_BACKUP_SCHEDULE: '', ENCLAVE_MANAGER_DRILL_SCHEDULE: '' };
  return { dataDirectory: temporaryDirectory(), env: { ...quiet, ENCLAVE_MANAGER_SGX_DIRECTORY: path } };
}

async function failureOf(args: readonly string[], machine: CommandOptions) {
  const { exitCode, stdout } = await runCommand([...args, '--json'], machine);
  const { error } = z.object({ error: z.object({ message: z.string(), hint: z.string() }) }).parse(JSON.parse(stdout));
  return { exitCode, ...error };
}

describe('a manager that is an SGX enclave', { timeout: 240_000 }, () => {
  it('is sealed by its processor, which alone opens the backup, until its microcode changes', async () => {
    const [enclave, other] = [newEnclave(0xd0), newEnclave(0xd1)];
    const machine = machineWith(enclave);
    const serve = startCommand(['serve'], machine);
    onTestFinished(() => void serve.child.kill('SIGKILL'));
    await serve.saw(/Stop with Ctrl-C/);
    serve.child.kill('SIGTERM');
    const { stdout, stderr } = await serve.ended;
    expect(`${stdout}${stderr}`.replaceAll(/\s+/g, ' ')).toContain('sealed by sgx: this is an SGX enclave');
    expect(existsSync(join(machine.dataDirectory, 'keys'))).toBe(false);
    expect(await runJson(['keys', 'status'], machine)).toMatchObject({
      node: { sealingProvider: 'sgx', hardwareIdentity: `sgx:${'d0'.repeat(16)}` },
    });
    const { clusterKey } = z.object({ clusterKey: z.string() }).parse(await runJson(['backup', 'create'], machine));

    const restore = ['restore', 'run', 'latest', '--yes', '--cluster-key', clusterKey];
    const onlyRepository = (directory: GramineDirectory): CommandOptions => {
      const empty = machineWith(directory);
      cpSync(join(machine.dataDirectory, 'backups'), join(empty.dataDirectory, 'backups'), { recursive: true });
      return empty;
    };
    expect(await failureOf(restore, onlyRepository(other))).toMatchObject({
      exitCode: 21,
      message: expect.stringContaining('another processor sealed it'),
    });
    expect(await runJson(restore, onlyRepository(enclave))).toMatchObject({ tables: 16 });
    enclave.change({ cpuSvn: Buffer.alloc(16, 6) });
    expect(await failureOf(['backup', 'create'], machine)).toMatchObject({
      exitCode: 21,
      message: expect.stringContaining('as a microcode or firmware update does'),
      hint: expect.stringContaining('node invite'),
    });
  });
});
