import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { connect, createServer } from 'node:net';
import { once } from 'node:events';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { systemClock } from '#adapters/system/clock.ts';
import { systemRandomness } from '#adapters/system/randomness.ts';
import type { TpmDevice } from '#adapters/tpm2/tpm-device.ts';
import { createTpm2Sealing } from '#adapters/tpm2/tpm2-sealing.ts';
import { type Approval, approve, formatMeasurements } from '#model/tpm/approval.ts';
import { defaultPcrSelection, parsePcrSelection } from '#model/tpm/pcr-selection.ts';
import type { Sealing } from '#ports/sealing.ts';
import { sealingContract } from '#ports/sealing.contract.ts';
import { temporaryDirectory } from '../fixtures/host.ts';
import { startProgram } from '../fixtures/processes.ts';
import { swtpmUnavailable, TestTpm } from '../fixtures/swtpm.ts';

const secret = Buffer.alloc(85, 'a secret that is to be found nowhere ');

interface Approving {
  readonly key: KeyObject;
  readonly directory: string;
}

function openSealing(device: TpmDevice, registers = defaultPcrSelection, approving?: Approving): Sealing {
  const selection = parsePcrSelection(registers)!;
  const approvals = { approvalKey: approving?.key, approvalsDirectory: approving?.directory ?? '/nonexistent' };
  return createTpm2Sealing({ device, selection, ...approvals, clock: systemClock, randomness: systemRandomness });
}

beforeEach((context) => {
  if (swtpmUnavailable !== undefined) context.skip(swtpmUnavailable);
});

if (swtpmUnavailable === undefined) {
  sealingContract('tpm2', async () => {
    const tpm = await TestTpm.start();
    return { open: () => openSealing(tpm) };
  });
}

describe('a key sealed by a TPM', () => {
  it('opens after a reboot, and is still bound to the same hardware', async () => {
    const tpm = await TestTpm.start();
    const sealed = await openSealing(tpm).seal(secret);
    const identity = await openSealing(tpm).hardwareIdentity();
    expect(identity).toMatch(/^tpm2:[0-9a-f]{64}$/);

    await tpm.reboot();

    expect(await openSealing(tpm).unseal(sealed)).toEqual(secret);
    expect(await openSealing(tpm).hardwareIdentity()).toBe(identity);
    expect(await openSealing(tpm).explain?.(sealed)).toBeUndefined();
  });

  it('does not open on another TPM, and the reason names both', async () => {
    const [tpm, other] = [await TestTpm.start(), await TestTpm.start()];
    const sealed = await openSealing(other).seal(secret);
    const [here, there] = [await openSealing(tpm).hardwareIdentity(), await openSealing(other).hardwareIdentity()];

    expect(await openSealing(tpm).unseal(sealed)).toBeUndefined();
    const refusal = await openSealing(tpm).explain?.(sealed);
    expect(refusal?.reason).toContain('another TPM');
    for (const identity of [here, there]) expect(refusal?.reason).toContain(identity.slice(0, 20));
  });

  it('does not open once something else was started, names what changed, and opens again when that is undone', async () => {
    const tpm = await TestTpm.start();
    tpm.extend(7);
    const sealed = await openSealing(tpm).seal(secret);

    await tpm.reboot();

    expect(await openSealing(tpm).unseal(sealed)).toBeUndefined();
    expect(await openSealing(tpm).explain?.(sealed)).toMatchObject({
      reason: 'this host did not start as it did when the key was sealed: PCR 7 (Secure Boot) changed',
      hint: expect.stringContaining('node invite'),
    });
    tpm.extend(7);
    expect(await openSealing(tpm).unseal(sealed)).toEqual(secret);
    tpm.extend(0);
    expect(await openSealing(tpm).unseal(sealed)).toBeUndefined();
  });

  it('is sealed to the chosen registers and no others', async () => {
    const tpm = await TestTpm.start();
    const sealed = await openSealing(tpm, 'sha256:0,1,2,3,4,5,6,7,8,9').seal(secret);
    tpm.extend(14);
    expect(await openSealing(tpm).unseal(sealed)).toEqual(secret);
    tpm.extend(9);
    expect(await openSealing(tpm).unseal(sealed)).toBeUndefined();
  });

  it('is lost when the TPM is cleared, while the hardware stays the same', async () => {
    const tpm = await TestTpm.start();
    const sealed = await openSealing(tpm).seal(secret);
    const identity = await openSealing(tpm).hardwareIdentity();

    tpm.clear();

    expect(await openSealing(tpm).unseal(sealed)).toBeUndefined();
    expect(await openSealing(tpm).hardwareIdentity()).toBe(identity);
    expect((await openSealing(tpm).explain?.(sealed))?.reason).toContain('was cleared');
  });

  it('serves several at once, although it has places for three objects and nobody in front of it', async () => {
    const tpm = await TestTpm.start();
    const sealed = await openSealing(tpm).seal(secret);
    const opened = await Promise.all(Array.from({ length: 8 }, () => openSealing(tpm).unseal(sealed)));
    expect(opened).toEqual(Array.from({ length: 8 }, () => secret));
  });

  it('stays readable when a killed process left the TPM full', async () => {
    const tpm = await TestTpm.start();
    const sealed = await openSealing(tpm).seal(secret);
    // The tools leave what they loaded where no resource manager stands between.
    for (let count = 0; count < 3; count++) tpm.run('tpm2_createprimary', '-Q', '-c', 'left.ctx');
    expect(() => tpm.run('tpm2_createprimary', '-Q')).toThrow(/out of memory/);
    expect(await openSealing(tpm).unseal(sealed)).toEqual(secret);
  });
});

function writeApproval(directory: string, name: string, approval: Approval): void {
  const signature = approval.signature.toString('base64');
  writeFileSync(join(directory, name), JSON.stringify({ ...formatMeasurements(approval), signature }));
}

describe('a key sealed with an approval key', () => {
  const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const other = generateKeyPairSync('ec', { namedCurve: 'P-256' });

  it('opens after the update that was approved on the strength of another host, and after no other', async () => {
    const [tpm, reference] = [await TestTpm.start(), await TestTpm.start()];
    const approving = { key: pair.publicKey, directory: temporaryDirectory() };
    const open = () => openSealing(tpm, defaultPcrSelection, approving);
    const sealed = await open().seal(secret);
    reference.extend(0);
    const updated = (await openSealing(reference).measure?.())!;

    tpm.extend(0);

    expect(await open().unseal(sealed)).toBeUndefined();
    expect((await open().explain?.(sealed))?.hint).toContain('node approve-firmware');
    writeApproval(approving.directory, 'by-somebody-else.json', approve(updated, other.privateKey));
    writeApproval(
      approving.directory,
      'of-now.json',
      approve((await openSealing(tpm, 'sha256:1').measure?.())!, other.privateKey),
    );
    writeFileSync(join(approving.directory, 'nonsense.json'), '{"registers":"sha256:0"}');
    expect(await open().unseal(sealed)).toBeUndefined();
    writeApproval(approving.directory, 'approved.json', approve(updated, pair.privateKey));
    expect(await open().unseal(sealed)).toEqual(secret);
    tpm.extend(7);
    expect(await open().unseal(sealed)).toBeUndefined();
    await tpm.reboot();
    expect(await open().unseal(sealed)).toEqual(secret);
  });

  it('opens for nobody whose approval the sealed key does not name', async () => {
    const tpm = await TestTpm.start();
    const approving = { key: pair.publicKey, directory: temporaryDirectory() };
    const [none, others] = [await openSealing(tpm).seal(secret), { ...approving, key: other.publicKey }];
    const sealedForOthers = await openSealing(tpm, defaultPcrSelection, others).seal(secret);
    tpm.extend(0);
    writeApproval(approving.directory, 'now.json', approve((await openSealing(tpm).measure?.())!, pair.privateKey));
    for (const sealed of [none, sealedForOthers]) {
      expect(await openSealing(tpm, defaultPcrSelection, approving).unseal(sealed)).toBeUndefined();
    }
  });
});

describe('a TPM that cannot be asked is no missing key', () => {
  it.each([
    ['is not there', 'device:/dev/no-such-tpm', 'there is no TPM at /dev/no-such-tpm'],
    ['lies below a file', 'device:/dev/null/tpm', 'there is no TPM at /dev/null/tpm'],
    ['is no TPM', 'device:/dev/null', 'the TPM device:/dev/null cannot be reached'],
    ['is switched off', 'swtpm:path=/tmp/no-such-socket', 'cannot be reached'],
  ])('when it %s', async (_, tcti, message) => {
    const sealed = await openSealing(await TestTpm.start()).seal(secret);
    const works = [
      (sealing: Sealing) => sealing.unseal(sealed),
      (sealing: Sealing) => sealing.seal(secret),
      (sealing: Sealing) => sealing.hardwareIdentity(),
      (sealing: Sealing) => sealing.provision(),
    ];
    for (const work of works) {
      await expect(work(openSealing({ tcti }))).rejects.toMatchObject({
        code: 'sealing-unavailable',
        exitCode: 15,
        message: expect.stringContaining(message),
      });
    }
  });

  it('when this user may not open it', async () => {
    const device = join('/tmp', `no-tpm-for-others-${process.pid}`);
    writeFileSync(device, '', { mode: 0 });
    onTestFinished(() => rmSync(device));
    const other = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};
    const { facts } = await startProgram(
      join(import.meta.dirname, '../fixtures/ask-tpm.ts'),
      [`device:${device}`],
      other,
    );
    expect(facts).toMatchObject({
      code: 'sealing-unavailable',
      exitCode: 15,
      message: `the TPM at ${device} may not be used by this user (EACCES)`,
      hint: expect.stringContaining('usermod -aG tss'),
    });
  });

  it('when the tools are not installed', async () => {
    const tpm = await TestTpm.start();
    const device = { tcti: tpm.tcti, searchPath: temporaryDirectory() };
    await expect(openSealing(device).hardwareIdentity()).rejects.toMatchObject({
      code: 'sealing-unavailable',
      hint: expect.stringContaining('apt-get install tpm2-tools'),
    });
  });

  it('when somebody else holds it, and it opens when they let go', async () => {
    const tpm = await TestTpm.start();
    const sealed = await openSealing(tpm).seal(secret);
    const holder = connect(tpm.socket);
    await once(holder, 'connect');
    onTestFinished(() => void holder.destroy());
    // The TPM serves whom it took in; a command makes sure that this is the holder.
    holder.write(Buffer.from('80010000000c0000017b0008', 'hex'));
    await once(holder, 'data');

    const refused = openSealing({ tcti: tpm.tcti, commandTimeoutMs: 500 }).unseal(sealed);
    await expect(refused).rejects.toMatchObject({
      code: 'sealing-unavailable',
      message: expect.stringContaining('did not answer within'),
    });

    holder.destroy();
    expect(await openSealing(tpm).unseal(sealed)).toEqual(secret);
  });

  it('when it hangs up, or answers with nonsense', async () => {
    const sealed = await openSealing(await TestTpm.start()).seal(secret);
    const answers = [Buffer.alloc(0), Buffer.alloc(20), Buffer.alloc(20_000, 0xff)];
    for (const answer of answers) {
      const tcti = await startImpostor(answer);
      await expect(openSealing({ tcti, commandTimeoutMs: 5_000 }).unseal(sealed)).rejects.toMatchObject({
        code: 'sealing-unavailable',
      });
    }
  });
});

/** Speaks swtpm's control channel well enough to be asked, and answers every command with the same bytes. */
async function startImpostor(answer: Buffer): Promise<string> {
  const path = join(temporaryDirectory(), 'tpm.sock');
  const control = createServer((socket) => socket.on('data', () => socket.write(Buffer.alloc(4))));
  const tpm = createServer((socket) => socket.on('data', () => socket.end(answer)).on('error', () => {}));
  for (const [server, place] of [
    [control, `${path}.ctrl`],
    [tpm, path],
  ] as const) {
    await new Promise<void>((resolve) => server.listen(place, resolve));
    onTestFinished(() => void server.close());
  }
  return `swtpm:path=${path}`;
}

describe('secrets', () => {
  it('are on no command line and in no environment while the TPM works', async () => {
    const tpm = await TestTpm.start();
    const watched = await watchProcesses(async () => {
      const sealed = await openSealing(tpm).seal(secret);
      expect(await openSealing(tpm).unseal(sealed)).toEqual(secret);
    });
    const tools = watched.filter((text) => text.includes('tpm2_send'));
    expect(tools.length).toBeGreaterThan(0);
    const spellings = [
      secret.toString('latin1', 0, 20),
      secret.toString('hex', 0, 20),
      secret.toString('base64', 0, 21),
    ];
    for (const text of watched) for (const spelling of spellings) expect(text).not.toContain(spelling);
  });
});

/** Command line and environment of every process of ours that the work starts. */
async function watchProcesses(work: () => Promise<void>): Promise<string[]> {
  const seen = new Set<string>();
  let ended = false;
  const watching = (async () => {
    while (!ended) {
      for (const text of childProcesses()) seen.add(text);
      await sleep(1);
    }
  })();
  for (let count = 0; count < 5; count++) await work();
  ended = true;
  await watching;
  return [...seen];
}

function childProcesses(): string[] {
  return readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8')
    .split(' ')
    .filter((id) => id !== '')
    .map((id) => {
      try {
        const [command, environment] = ['cmdline', 'environ'].map((name) =>
          readFileSync(`/proc/${id}/${name}`, 'latin1'),
        );
        return `${command} ${environment}`;
      } catch {
        return '';
      }
    });
}
