import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { isEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { Sealing } from '#ports/sealing.ts';
import { sealingContract } from '#ports/sealing.contract.ts';
import { createSoftwareSealing } from './software-sealing.ts';

const directories: string[] = [];
const randomness = { bytes: (length: number) => randomBytes(length) };

async function newKeyFile(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'software-sealing-'));
  directories.push(directory);
  return join(directory, 'keys', 'host.key');
}

function openSealing(keyFile: string, keyExpected = false): Sealing {
  return createSoftwareSealing({ keyFile, keyExpected, randomness });
}

async function failureOf(work: Promise<unknown>): Promise<{ code: string; message: string; hint: string }> {
  const error = await work.then(() => undefined).catch((thrown: unknown) => thrown);
  if (!isEnclaveManagerError(error)) throw new Error(`no typed error: ${String(error)}`);
  return { code: error.code, message: error.message, hint: error.hint };
}

afterAll(async () => {
  await Promise.all(directories.map((directory) => rm(directory, { recursive: true, force: true })));
});

sealingContract('software', async () => {
  const keyFile = await newKeyFile();
  return { open: () => openSealing(keyFile, true) };
});

it('sealed bytes stay readable for ever', async () => {
  const keyFile = await newKeyFile();
  await mkdir(dirname(keyFile), { mode: 0o700 });
  await writeFile(keyFile, Buffer.alloc(32, 0xa1), { mode: 0o600 });
  const sealed = Buffer.from(
    '010b0b0b0b0b0b0b0b0b0b0b0ba906b11197b6bd3bea0f3a659f6cde53ed8bf68ca0e256f0e16057ca4da07b',
    'hex',
  );
  expect(await openSealing(keyFile).unseal(sealed)).toEqual(Buffer.from('node credential'));
  expect(await openSealing(keyFile).hardwareIdentity()).toBe('software:cabfb172f7d745c6f4834b4bd8c76a86');
});

describe('the host key file', () => {
  let keyFile: string;

  beforeEach(async () => {
    keyFile = await newKeyFile();
  });

  it('is made by provision alone, private, in a private directory, with nothing left beside it', async () => {
    await openSealing(keyFile).provision();
    expect(await readdir(dirname(keyFile))).toEqual(['host.key']);
    const [file, directory] = [await stat(keyFile), await stat(dirname(keyFile))];
    expect([file.mode & 0o777, file.size, directory.mode & 0o777]).toEqual([0o600, 32, 0o700]);
  });

  it('is one key when two processes provision at once', async () => {
    await Promise.all(Array.from({ length: 8 }, () => openSealing(keyFile).provision()));
    expect(await readdir(dirname(keyFile))).toEqual(['host.key']);
    const key = await readFile(keyFile);
    await openSealing(keyFile).provision();
    expect(await readFile(keyFile)).toEqual(key);
  });

  it('missing on a host that never enrolled means that nothing opens, and none is made', async () => {
    expect(await openSealing(keyFile).unseal(Buffer.alloc(100))).toBeUndefined();
    await expect(stat(dirname(keyFile))).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('missing on an enrolled host is an error that says how to go on, and none is made', async () => {
    const sealing = openSealing(keyFile, true);
    const works = [
      () => sealing.unseal(Buffer.alloc(100)),
      () => sealing.seal(Buffer.alloc(1)),
      () => sealing.hardwareIdentity(),
    ];
    for (const work of works) {
      const { code, message, hint } = await failureOf(work());
      expect([code, message]).toEqual(['sealing-unavailable', `The host key ${keyFile} does not exist.`]);
      expect(hint).toContain('node enrol');
    }
    await expect(stat(dirname(keyFile))).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('that others may read is refused with the command that repairs it', async () => {
    await openSealing(keyFile).provision();
    for (const mode of [0o640, 0o604, 0o620]) {
      await chmod(keyFile, mode);
      const { code, message, hint } = await failureOf(openSealing(keyFile).unseal(Buffer.alloc(100)));
      expect(code).toBe('sealing-unavailable');
      expect(message).toBe(`The host key ${keyFile} has mode 0${mode.toString(8)}: others may use it.`);
      expect(hint).toContain(`chmod 600 ${keyFile}`);
    }
  });

  it('of another size, or that is no file, is refused and not replaced', async () => {
    await mkdir(dirname(keyFile), { mode: 0o700 });
    await writeFile(keyFile, Buffer.alloc(31), { mode: 0o600 });
    expect(await failureOf(openSealing(keyFile).provision())).toMatchObject({
      code: 'sealing-unavailable',
      message: `The host key ${keyFile} has 31 bytes instead of 32.`,
    });
    expect(await readFile(keyFile)).toEqual(Buffer.alloc(31));
    await rm(keyFile);
    await mkdir(keyFile, { mode: 0o700 });
    expect((await failureOf(openSealing(keyFile).hardwareIdentity())).message).toContain('is not a regular file');
  });

  it('below something that is not a directory is named in the error', async () => {
    await mkdir(dirname(dirname(keyFile)), { recursive: true });
    await writeFile(dirname(keyFile), 'a file');
    const works = [() => openSealing(keyFile).provision(), () => openSealing(keyFile).unseal(Buffer.alloc(1))];
    for (const work of works) {
      const { code, message } = await failureOf(work());
      expect(code).toBe('sealing-unavailable');
      expect(message).toContain(`${keyFile} cannot be read: ENOTDIR`);
    }
  });
});
