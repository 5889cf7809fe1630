import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '#adapters/system/clock.ts';
import { systemRandomness } from '#adapters/system/randomness.ts';
import { createTpm2Sealing } from '#adapters/tpm2/tpm2-sealing.ts';
import { checkEndorsementCertificate, readTpmAuthorities } from '#attestation/tpm/endorsement-certificate.ts';
import { readTpmEvidence } from '#attestation/tpm/evidence.ts';
import { makeCredential } from '#attestation/tpm/make-credential.ts';
import { defaultPcrSelection, parsePcrSelection } from '#model/tpm/pcr-selection.ts';
import { swtpmUnavailable, TestTpm } from '../fixtures/swtpm.ts';
import { makeTpmMaker } from '../fixtures/tpm-maker.ts';

beforeEach((context) => {
  if (swtpmUnavailable !== undefined) context.skip(swtpmUnavailable);
});

const selection = parsePcrSelection(defaultPcrSelection)!;
const openSealing = (device: { readonly tcti: string }) =>
  createTpm2Sealing({
    device,
    selection,
    approvalKey: undefined,
    approvalsDirectory: '/nonexistent',
    clock: systemClock,
    randomness: systemRandomness,
  });

/** What a host claims, and what its evidence says. */
async function claimOf(tpm: TestTpm) {
  const sealing = openSealing(tpm);
  const sealedCredential = await sealing.seal(Buffer.alloc(85, 7));
  const node = { hardwareIdentity: await sealing.hardwareIdentity(), sealedCredential };
  const bytes = await sealing.evidence!.collect(sealedCredential, Buffer.alloc(32));
  return { sealing, node, bytes, evidence: readTpmEvidence(bytes, node) };
}

const challengeFor = ({ evidence }: Awaited<ReturnType<typeof claimOf>>, secret: Buffer) =>
  makeCredential(evidence.endorsementArea, evidence.objectName, secret, randomBytes(32));

describe('evidence of a TPM', () => {
  it('answers a challenge to its endorsement key and its sealed object', async () => {
    const claim = await claimOf(await TestTpm.start());
    for (const secret of [randomBytes(32), randomBytes(16), Buffer.of(1)]) {
      expect(await claim.sealing.evidence!.answer!(claim.node.sealedCredential, challengeFor(claim, secret))).toEqual(
        secret,
      );
    }
  });

  it('is made as tpm2_makecredential makes it, without a TPM', async () => {
    const tpm = await TestTpm.start();
    const claim = await claimOf(tpm);
    const secret = randomBytes(32);
    const path = (name: string) => join(tpm.directory, name);
    writeFileSync(path('ek.pub'), Buffer.concat([Buffer.of(1, 0x3a), claim.evidence.endorsementArea]));
    writeFileSync(path('secret'), secret);
    const name = claim.evidence.objectName.toString('hex');
    tpm.run('tpm2_makecredential', '-T', 'none', '-e', 'ek.pub', '-s', 'secret', '-n', name, '-o', 'credential');
    // Magic and version, then both structures with their lengths.
    const made = readFileSync(path('credential')).subarray(8);
    const blobBytes = made.readUInt16BE(0);
    const credentialBlob = made.subarray(2, 2 + blobBytes);
    const encryptedSecret = made.subarray(4 + blobBytes);
    const own = challengeFor(claim, secret);
    expect([credentialBlob.length, encryptedSecret.length]).toEqual([
      own.credentialBlob.length,
      own.encryptedSecret.length,
    ]);
    const answer = claim.sealing.evidence!.answer!(claim.node.sealedCredential, { credentialBlob, encryptedSecret });
    expect(await answer).toEqual(secret);
  });

  it('is not answered by another TPM, for another object, or when it was altered', async () => {
    const [claim, other] = [await claimOf(await TestTpm.start()), await claimOf(await TestTpm.start())];
    const challenge = challengeFor(claim, randomBytes(32));
    const answer = (sealing: typeof claim.sealing, sealed: Buffer, asked = challenge) =>
      sealing.evidence!.answer!(sealed, asked);
    expect(await answer(other.sealing, other.node.sealedCredential)).toBeUndefined();
    expect(await answer(other.sealing, claim.node.sealedCredential)).toBeUndefined();
    expect(await answer(claim.sealing, await claim.sealing.seal(Buffer.alloc(85, 8)))).toBeUndefined();
    for (const part of ['credentialBlob', 'encryptedSecret'] as const) {
      const altered = Buffer.from(challenge[part]);
      altered[altered.length >> 1]! ^= 1;
      const asked = { ...challenge, [part]: altered };
      expect(await answer(claim.sealing, claim.node.sealedCredential, asked)).toBeUndefined();
      const empty = { ...challenge, [part]: Buffer.alloc(0) };
      expect(await answer(claim.sealing, claim.node.sealedCredential, empty)).toBeUndefined();
    }
  });

  it('of another TPM than sealed the credential is rejected before anything is asked', async () => {
    const [claim, other] = [await claimOf(await TestTpm.start()), await claimOf(await TestTpm.start())];
    const lies = [
      { bytes: other.bytes, node: claim.node, why: 'is not that of the endorsement key shown' },
      {
        bytes: other.bytes,
        node: { ...claim.node, hardwareIdentity: other.node.hardwareIdentity },
        why: 'was sealed by another TPM',
      },
      {
        bytes: claim.bytes,
        node: { ...claim.node, sealedCredential: Buffer.alloc(200, 1) },
        why: 'is not one that a TPM',
      },
      { bytes: Buffer.from('{}'), node: claim.node, why: 'cannot be read' },
    ];
    for (const { bytes, node, why } of lies) {
      expect(() => readTpmEvidence(bytes, node)).toThrow(
        expect.objectContaining({ code: 'evidence-rejected', message: expect.stringContaining(why) }),
      );
    }
  });
});

describe('an endorsement certificate', () => {
  it('of a trusted maker counts for its key and its time alone', async () => {
    const [tpm, other] = [await TestTpm.start(), await TestTpm.start()];
    const [maker, stranger] = [makeTpmMaker(), makeTpmMaker()];
    maker.certify(tpm);
    maker.certify(other);
    const claim = await claimOf(tpm);
    const certificate = claim.evidence.certificate!;
    const authorities = readTpmAuthorities(maker.pem);
    const now = new Date();
    checkEndorsementCertificate(certificate, claim.evidence.endorsementArea, authorities, now);
    const otherArea = (await claimOf(other)).evidence.endorsementArea;
    const later = new Date(now.getTime() + 400 * 86_400_000);
    for (const [why, check] of [
      ['another key', () => checkEndorsementCertificate(certificate, otherArea, authorities, now)],
      [
        'no trusted TPM maker',
        () =>
          checkEndorsementCertificate(
            certificate,
            claim.evidence.endorsementArea,
            readTpmAuthorities(stranger.pem),
            now,
          ),
      ],
      [
        'is valid from',
        () => checkEndorsementCertificate(certificate, claim.evidence.endorsementArea, authorities, later),
      ],
      [
        'cannot be read',
        () => checkEndorsementCertificate(certificate.subarray(1), claim.evidence.endorsementArea, authorities, now),
      ],
    ] as const) {
      expect(check).toThrow(
        expect.objectContaining({ code: 'evidence-rejected', message: expect.stringContaining(why) }),
      );
    }
  });

  it('is none without the usage that says so, whoever issued it', async () => {
    const tpm = await TestTpm.start();
    const maker = makeTpmMaker();
    maker.certify(tpm, { usage: 'serverAuth' });
    const { evidence } = await claimOf(tpm);
    expect(() =>
      checkEndorsementCertificate(
        evidence.certificate!,
        evidence.endorsementArea,
        readTpmAuthorities(maker.pem),
        new Date(),
      ),
    ).toThrow('is not one for an endorsement key');
  });

  it('is missing where the maker put none', async () => {
    expect((await claimOf(await TestTpm.start())).evidence.certificate).toBeUndefined();
  });
});
