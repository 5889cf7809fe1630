import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { systemClock } from '#adapters/system/clock.ts';
import { systemRandomness } from '#adapters/system/randomness.ts';
import { createSgxSealing } from '#adapters/sgx/sgx-sealing.ts';
import { ready } from '#model/readiness.ts';
import { createBackup } from '#operations/create-backup.ts';
import { enrolNode, inviteNode } from '#operations/enrol-node.ts';
import type { SgxTrust } from '#operations/hardware-trust.ts';
import { openRepository } from '#operations/open-repository.ts';
import type { Sealing } from '#ports/sealing.ts';
import { runAdmission } from '#server/admission.ts';
import { Gate } from '#server/gate.ts';
import { GramineDirectory, type Enclave } from '../../src/adapters/sgx/gramine-directory.fixture.ts';
import { madeAt, makePlatform, makeWorld, type MadeTerms } from '../../src/attestation/made-platform.fixture.ts';
import { makeCluster } from '../fixtures/cluster.ts';
import { makeContext, type TestHost } from '../fixtures/host.ts';
import { anotherHost } from '../fixtures/hosts.ts';
import { reopen } from '../fixtures/restoring.ts';

const world = makeWorld();
const signer = Buffer.alloc(32, 0x51);
const clock = { ...systemClock, now: () => madeAt };

/** An enclave whose quotes are over what is asked for, signed in one world. */
function enclave(changes: Partial<MadeTerms> = {}) {
  const terms = { ppid: randomBytes(16), cpuSvn: Buffer.alloc(16, 5), mrSigner: signer, isvSvn: 3, ...changes };
  const directory = new GramineDirectory(terms);
  onTestFinished(() => directory.remove());
  const sealing = createSgxSealing({ directory: directory.path, randomness: systemRandomness });
  const quoteOver = (binding: Uint8Array): Buffer => {
    const reportData = Buffer.concat([binding, Buffer.alloc(32)]);
    return makePlatform({ ...changes, ...directory.enclave, reportData }, world).quote;
  };
  return {
    directory,
    sealing: { ...sealing, evidence: { collect: async (_: unknown, of: Uint8Array) => quoteOver(of) } },
  };
}

const trusting = (changes: Partial<MadeTerms> = {}): SgxTrust => {
  const { collateral, rootKey } = makePlatform(changes, world);
  return { collateral: [collateral], signers: [signer.toString('hex')], rootKey };
};

/** A cluster whose manager answers hosts that ask to be enrolled, until the test ends. */
async function servedCluster(sgx?: SgxTrust) {
  const { host, cluster } = await makeCluster();
  const gate = new Gate(systemClock);
  gate.open(ready, Infinity);
  const stop = new AbortController();
  const hardwareTrust = sgx === undefined ? {} : { sgx };
  const parts = { host: { ...host, hardwareTrust }, database: cluster.database, gate, log: () => {} };
  const ended = runAdmission(makeContext({ signal: stop.signal, clock }), parts);
  onTestFinished(async () => {
    stop.abort();
    await ended;
  });
  return { host, cluster };
}

type Place = Awaited<ReturnType<typeof servedCluster>>;

async function enrol({ host, cluster }: Place, name: string, sealing: Sealing, hardwareIdentity?: string) {
  const joining: TestHost = { ...(await anotherHost(host, name)), sealing };
  const { token } = await inviteNode(makeContext(), cluster, { hardwareIdentity });
  return { joining, ...(await enrolNode(makeContext(), joining, { token, waitMs: 60_000 })) };
}

describe('an SGX enclave that is enrolled', () => {
  it('is graded by what Intel says of its platform, and not at all where nobody asks Intel', async () => {
    const place = await servedCluster(trusting());
    expect(await enrol(place, 'host-b', enclave().sealing)).toMatchObject({ grade: 'sgx-attested' });
    expect(await enrol(place, 'host-c', enclave({ componentSvn: 4 }).sealing)).toMatchObject({
      grade: 'sgx-out-of-date',
    });
    expect(await enrol(place, 'host-d', enclave({ fmspc: '00906ed50000' }).sealing)).toMatchObject({
      grade: 'unattested',
    });
    expect(await enrol(await servedCluster(), 'host-b', enclave().sealing)).toMatchObject({ grade: 'unattested' });
  });

  it.each<[string, Partial<MadeTerms>, string]>([
    [
      'of another signer',
      { mrSigner: Buffer.alloc(32, 0x52) },
      `of signer ${'52'.repeat(32)}, who is not trusted here`,
    ],
    ['whose memory its host can read', { debug: true }, 'debug enclave'],
  ])('is refused when it is one %s', async (_, changes, message) => {
    const place = await servedCluster(trusting());
    await expect(enrol(place, 'host-b', enclave(changes).sealing)).rejects.toMatchObject({
      code: 'not-permitted',
      message: expect.stringContaining(message),
    });
  });

  it('is refused with a quote for another request, of another processor, or of a revoked one', async () => {
    const place = await servedCluster(trusting());
    const [genuine, liar] = [enclave(), enclave()];
    let recorded: Buffer | undefined;
    const recording = async (sealed: unknown, of: Uint8Array) =>
      (recorded ??= await genuine.sealing.evidence.collect(sealed, of));
    await enrol(place, 'host-b', { ...genuine.sealing, evidence: { collect: recording } });
    const identity = await genuine.sealing.hardwareIdentity();
    const replaying = {
      ...liar.sealing,
      hardwareIdentity: () => Promise.resolve(identity),
      evidence: { collect: recording },
    };
    await expect(enrol(place, 'host-c', replaying)).rejects.toMatchObject({
      message: expect.stringContaining('made for another key, another invite or another cluster'),
    });
    const pretending = { ...liar.sealing, hardwareIdentity: () => Promise.resolve(identity) };
    await expect(enrol(place, 'host-c', pretending)).rejects.toMatchObject({
      message: expect.stringContaining(`the host calls itself ${identity}`),
    });
    const careful = await servedCluster(trusting({ revoked: 'platform' }));
    await expect(enrol(careful, 'host-b', enclave().sealing)).rejects.toMatchObject({
      message: expect.stringContaining('was revoked'),
    });
    expect((await reopen(makeContext(), place.host)).keyring.membership.nodes).toHaveLength(2);
  });

  it('keeps its place with a new key after its microcode changed, and opens old backups again', async () => {
    const place = await servedCluster(trusting());
    const { directory, sealing } = enclave();
    const first = await enrol(place, 'host-b', sealing);
    const { id } = await createBackup(makeContext(), place.cluster, { kind: 'manual' });
    const changes: Partial<Enclave> = { cpuSvn: Buffer.alloc(16, 6) };
    directory.change(changes);
    await expect(openRepository(place.host.store, sealing)).rejects.toMatchObject({
      code: 'no-key',
      message: expect.stringContaining('as a microcode or firmware update does'),
    });
    const again = await enrol(place, 'host-b', sealing, await sealing.hardwareIdentity());
    expect([again.nodeId, again.grade]).toEqual([first.nodeId, 'sgx-attested']);
    const { keyring } = await openRepository(place.host.store, sealing);
    expect(keyring.membership.nodes.map(({ name }) => name)).toEqual(['host-a', 'host-b']);
    expect(id).toMatch(/Z-/);
    expect([...keyring.epochsOpenableBy(again.nodeId)]).toEqual([1]);
  });
});

describe('the evidence of an SGX enclave', () => {
  it('is a quote over the 32 bytes that it was given', async () => {
    const { path } = enclave().directory;
    const { evidence } = createSgxSealing({ directory: path, randomness: systemRandomness });
    const binding = randomBytes(32);
    expect(await evidence!.collect(Buffer.alloc(0), binding)).toEqual(readFileSync(join(path, 'quote')));
    expect(readFileSync(join(path, 'user_report_data'))).toEqual(Buffer.concat([binding, Buffer.alloc(32)]));
  });
});
