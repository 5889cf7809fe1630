import { randomBytes } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { sealingContract } from '#ports/sealing.contract.ts';
import { GramineDirectory, type Enclave } from './gramine-directory.fixture.ts';
import { createSgxSealing } from './sgx-sealing.ts';

const directories: GramineDirectory[] = [];
const signer = Buffer.alloc(32, 0x51);

function newEnclave(changes: Partial<Enclave> = {}): GramineDirectory {
  const usual = { ppid: randomBytes(16), cpuSvn: Buffer.alloc(16, 5), mrSigner: signer, isvSvn: 3 };
  const directory = new GramineDirectory({ ...usual, ...changes });
  directories.push(directory);
  return directory;
}

const openSealing = ({ path }: GramineDirectory) =>
  createSgxSealing({ directory: path, randomness: { bytes: (length) => randomBytes(length) } });

afterAll(() => {
  for (const directory of directories) directory.remove();
});

sealingContract('sgx', async () => {
  const enclave = newEnclave();
  return { open: () => openSealing(enclave) };
});

it('sealed bytes stay readable for ever', async () => {
  const enclave = newEnclave();
  writeFileSync(join(enclave.path, 'keys', '_sgx_mrsigner'), Buffer.alloc(16, 0xa1));
  const sealed = Buffer.from(
    '0101050505050505050505050505050505050003000151515151515151515151515151515151515151515151515151515151515151510b0b0b0b0b0b0b0b0b0b0b0b27d9d16cf5bfdfc7e6a08973cbe36bbacee32d2419e204841d04bded496b56',
    'hex',
  );
  expect(await openSealing(enclave).unseal(sealed)).toEqual(Buffer.from('node credential'));
});

describe('sgx sealing', () => {
  it('names the processor by its PPID', async () => {
    expect(await openSealing(newEnclave({ ppid: Buffer.alloc(16, 0xd0) })).hardwareIdentity()).toBe(
      `sgx:${'d0'.repeat(16)}`,
    );
  });

  it.each<[string, Partial<Enclave>, RegExp]>([
    ['a microcode update', { cpuSvn: Buffer.alloc(16, 6) }, /processor changed from 05.* to 06/],
    ['a new version of the enclave', { isvSvn: 4 }, /enclave changed from 3 to 4/],
    ['an enclave of another signer', { mrSigner: Buffer.alloc(32, 0x52) }, /of signer 51.*; this one is of signer 52/],
    ['another processor', { ppid: Buffer.alloc(16, 1) }, /another processor sealed it/],
  ])('does not open after %s, and says so', async (_, changes, reason) => {
    const enclave = newEnclave();
    const sealed = await openSealing(enclave).seal(Buffer.from('credential'));
    expect(await openSealing(enclave).unseal(sealed)).toEqual(Buffer.from('credential'));
    enclave.change(changes);
    expect(await openSealing(enclave).unseal(sealed)).toBeUndefined();
    const refusal = await openSealing(enclave).explain!(sealed);
    expect(refusal?.reason).toMatch(reason);
    expect(refusal?.hint).toContain('node invite');
  });

  it('is unavailable, not without a key, where the files are missing, short, or without attestation', async () => {
    const sealed = await openSealing(newEnclave()).seal(Buffer.from('credential'));
    const [missing, short, none] = [newEnclave(), newEnclave(), newEnclave()];
    rmSync(join(missing.path, 'keys'), { recursive: true });
    writeFileSync(join(short.path, 'keys', '_sgx_mrsigner'), 'short');
    writeFileSync(join(none.path, 'attestation_type'), 'none\n');
    const unavailable = (message: RegExp): unknown =>
      expect.objectContaining({ code: 'sealing-unavailable', message: expect.stringMatching(message) });
    await expect(openSealing(missing).unseal(sealed)).rejects.toEqual(
      unavailable(/_sgx_mrsigner cannot be used: ENOENT/),
    );
    await expect(openSealing(missing).provision()).rejects.toEqual(unavailable(/ENOENT/));
    await expect(openSealing(short).unseal(sealed)).rejects.toEqual(unavailable(/has 5 bytes instead of 16/));
    await expect(openSealing(none).seal(Buffer.from('x'))).rejects.toEqual(unavailable(/attestation_type is "none"/));
    await expect(openSealing(none).hardwareIdentity()).rejects.toEqual(unavailable(/no DCAP attestation/));
  });
});
