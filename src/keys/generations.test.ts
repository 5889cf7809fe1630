import { beforeAll, describe, expect, it } from 'vitest';
import { encodeCredentialSecret } from './credential.ts';
import { type KeyringDocument, type MemberNode, openKeyring, type OpenedKeyring } from './keyring.ts';
import {
  digestsOf,
  failureOf,
  fixedClock,
  type HostSecrets,
  memorySealing,
  newTestCluster,
  newTestHost,
  nextGeneration,
  payloadOf,
  secretsOf,
} from './keyring.fixture.ts';
import { newCredentialDocument, newSlotDocument } from './new-documents.ts';
import { nextMembership } from './next-membership.ts';
import { credentialSchema, membersSchema } from './payloads.ts';
import { signDocument } from './signed-document.ts';

/** Cluster of a, b and the host `evicted`; then a second generation without `evicted`. */
describe('after an eviction', () => {
  let before: KeyringDocument[];
  let after: KeyringDocument[];
  let keyringBefore: OpenedKeyring;
  let remaining: MemberNode[];
  let evicted: HostSecrets;
  let oldManifest: Buffer;

  beforeAll(async () => {
    before = await newTestCluster('a', 'b', 'evicted');
    keyringBefore = await openKeyring(before, memorySealing('a'));
    remaining = keyringBefore.membership.nodes.filter(({ name }) => name !== 'evicted');
    evicted = await secretsOf(before, memorySealing('evicted'));
    oldManifest = keyringBefore.sign('manifest', { sequence: 1 });
    const acceptedPast = digestsOf([...before, { path: '', bytes: oldManifest }]);
    const next = { label: 'second', epoch: 2, keyGeneration: 2, members: remaining, acceptedPast };
    after = [...before, ...(await nextGeneration(before, await secretsOf(before, memorySealing('a')), next))];
  });

  it('remaining hosts reach the new generation with the credential they have, and open old and new epochs', async () => {
    for (const name of ['a', 'b']) {
      const keyring = await openKeyring(after, memorySealing(name));
      expect([keyring.keyGeneration, keyring.epochs, keyring.currentEpoch.epoch]).toEqual([2, [1, 2], 2]);
      expect(keyring.epochKeys(1).chunk).toEqual(keyringBefore.epochKeys(1).chunk);
      expect([keyring.isMember, keyring.rejected, keyring.membership.number]).toEqual([true, [], 4]);
      expect(keyring.epochsOpenableBy(keyring.nodeId)).toEqual(new Set([1, 2]));
      expect(keyring.fingerprint).not.toBe(keyringBefore.fingerprint);
      expect(keyring.verify('manifest', keyring.sign('manifest', { sequence: 2 }))).toEqual({ sequence: 2 });
      expect(keyring.verify('manifest', oldManifest)).toEqual({ sequence: 1 });
    }
  });

  it('the evicted host still opens what it could, is no member and may not sign', async () => {
    const keyring = await openKeyring(after, memorySealing('evicted'));
    expect([keyring.isMember, keyring.membership.nodes.map(({ name }) => name)]).toEqual([false, ['a', 'b']]);
    expect(keyring.epochKeys(1).chunk).toEqual(keyringBefore.epochKeys(1).chunk);
    expect(await failureOf(() => keyring.currentEpoch)).toMatchObject({ code: 'no-key' });
    expect(await failureOf(() => keyring.sign('manifest', {}))).toMatchObject({ code: 'not-permitted' });
    expect(keyring.epochsOpenableBy(keyring.nodeId)).toEqual(new Set());
  });

  it('a document that the evicted host signs with the old key is forged', async () => {
    const keyring = await openKeyring(after, memorySealing('a'));
    const bytes = signDocument('manifest', evicted.clusterId, { sequence: 2 }, [evicted.signers.get(1)!]);
    expect(await failureOf(() => keyring.verify('manifest', bytes))).toMatchObject({
      code: 'forged',
      message: 'The manifest document is of key generation 1 and was not accepted when that ended.',
    });
    const pretending = signDocument('manifest', evicted.clusterId, {}, [
      { ...evicted.signers.get(1)!, keyGeneration: 2 },
    ]);
    expect(await failureOf(() => keyring.verify('manifest', pretending))).toMatchObject({ code: 'forged' });
  });

  it('memberships, slots and credentials that the evicted host forges are set aside', async () => {
    const signer = evicted.signers.get(1)!;
    const member = keyringBefore.membership.nodes.find(({ name }) => name === 'evicted')!;
    const { credentialId, ...ids } = { ...member, nodeId: '01900000-0000-7000-8000-000000000002' };
    const membership = { number: 9, previous: null, currentEpoch: 1, keyGeneration: 1, nodes: [member] };
    const forged = [
      {
        path: 'keyring/members/9.json',
        bytes: signDocument('members', evicted.clusterId, { ...membership, createdAt: '2026-11-22T00:00:00.000Z' }, [
          signer,
        ]),
      },
      await newSlotDocument(evicted.clusterId, 1, evicted.rootKeys.get(1)!, { ...ids, credentialId }, signer),
      newCredentialDocument(
        evicted.clusterId,
        { ...ids, credentialId, sealedCredential: 'AAAA', createdAt: '2026-11-22T00:00:00.000Z' },
        signer,
      ),
    ];
    const keyring = await openKeyring([...forged, ...after], memorySealing('a'));
    expect([keyring.membership.number, keyring.epochs]).toEqual([4, [1, 2]]);
    expect(keyring.rejected.map(({ path }) => path).toSorted()).toEqual(forged.map(({ path }) => path).toSorted());
  });

  it('a host whose credential was resealed needs no old document to find the new generation', async () => {
    const resealed = await reseal(after, 'b');
    const keyring = await openKeyring(resealed, memorySealing('b'));
    expect([keyring.keyGeneration, keyring.epochs, keyring.rejected]).toEqual([2, [1, 2], []]);
    expect(keyring.epochKeys(1).chunk).toEqual(keyringBefore.epochKeys(1).chunk);
  });

  it('no membership that is left brings the evicted host back, also once the keys were rotated since', async () => {
    const { nodeId, ...recipient } = keyringBefore.membership.nodes.find(({ name }) => name === 'evicted')!;
    const first = { label: 'evicting', epoch: 2, keyGeneration: 2, members: remaining, evicted: [nodeId] };
    const a = await secretsOf(before, memorySealing('a'));
    const evicting = [...before, ...(await nextGeneration(before, a, { ...first, acceptedPast: digestsOf(before) }))];
    const then = await secretsOf(evicting, memorySealing('a'));
    const second = { label: 'rotating', epoch: 3, keyGeneration: 3, members: remaining };
    const rotated = await nextGeneration(evicting, then, { ...second, acceptedPast: digestsOf(evicting) });
    const left = [...evicting, ...rotated].filter(({ path }) => !/members\/[45]/.test(path));

    for (const name of ['a', 'b', 'evicted']) {
      const keyring = await openKeyring(left, memorySealing(name));
      const { membership, isMember } = keyring;
      expect([keyring.keyGeneration, membership.number, membership.currentEpoch]).toEqual([3, 3, 1]);
      expect([isMember, membership.nodes.map((node) => node.name)]).toEqual([name !== 'evicted', ['a', 'b']]);
      expect([keyring.evicted, keyring.epochsOpenableBy(nodeId)]).toEqual([new Set([nodeId]), new Set()]);
    }
    const keyring = await openKeyring(left, memorySealing('a'));
    await expect(keyring.wrapRootKeys({ nodeId, ...recipient })).rejects.toMatchObject({ code: 'not-permitted' });
    const next = await keyring.newGeneration({ epoch: 4, evicted: [], acceptedPast: [] }, newTestHost('a').ports);
    expect(next.map(({ path }) => path).join()).not.toContain(nodeId);
    // Nothing else than the document that evicts it leads from the newest key to the one that signed it in.
    const unled = left.filter(({ path }) => path !== 'keyring/epochs/2/epoch.json');
    const clusterKey = keyring.fingerprint;
    expect(await failureOf(() => openKeyring(unled, memorySealing('a'), { clusterKey }))).toMatchObject({
      code: 'forged',
      message: expect.stringContaining(`not to ${clusterKey}`),
    });
  });

  it('the next membership is numbered beyond those that were hidden, and one that turns up again contradicts nothing', async () => {
    const by = await openKeyring(after, memorySealing('a'));
    const { ports } = newTestHost('a');
    const rotated = [
      ...after,
      ...(await by.newGeneration({ epoch: 3, evicted: [], acceptedPast: digestsOf(after) }, ports)),
    ];
    const isHidden = ({ path }: KeyringDocument): boolean => path === 'keyring/members/4.json';
    const whole = await openKeyring(rotated, memorySealing('a'));
    expect([whole.missesMemberships, whole.membership.number, whole.nextMembershipNumber]).toEqual([false, 4, 5]);

    const without = await openKeyring(
      rotated.filter((document) => !isHidden(document)),
      memorySealing('a'),
    );
    expect([without.missesMemberships, without.membership.number, without.nextMembershipNumber]).toEqual([
      true,
      3,
      4005,
    ]);
    const next = nextMembership(without, { nodes: remaining, currentEpoch: 3 }, fixedClock.now());
    expect(next.path).toBe('keyring/members/4005.json');
    const found = await openKeyring([...rotated, next], memorySealing('a'));
    expect([found.membership.number, found.missesMemberships, found.rejected]).toEqual([4005, false, []]);

    const number = { ...membersSchema.parse(payloadOf(after.find(isHidden)!)), keyGeneration: 3 };
    const other = { path: 'keyring/members/4.json', bytes: whole.sign('members', number) };
    const contradicted = await openKeyring([...rotated, other], memorySealing('a'));
    expect(contradicted.membership.number).toBe(4);
    expect(contradicted.rejected).toEqual([{ path: other.path, reason: 'is not the membership 4 that epoch 3 names' }]);
  });

  describe('with a second successor that the evicted host made', () => {
    let fork: KeyringDocument[];
    let fingerprints: string[];

    beforeAll(async () => {
      const members = keyringBefore.membership.nodes;
      const next = { label: 'forged', epoch: 3, keyGeneration: 2, members, acceptedPast: digestsOf(before) };
      const forged = await nextGeneration(before, evicted, next);
      fork = [...after, ...forged];
      const opened = await Promise.all([
        openKeyring(after, memorySealing('a')),
        openKeyring([...before, ...forged], memorySealing('a')),
      ]);
      fingerprints = opened.map(({ fingerprint }) => fingerprint);
    });

    it('a host that holds the old key stops and names both', async () => {
      const { code, message, hint } = await failureOf(() => openKeyring(fork, memorySealing('a')));
      expect(code).toBe('forged');
      expect(message).toContain('Key generation 1 has 2 authentic successors');
      for (const fingerprint of fingerprints) expect(message).toContain(fingerprint);
      expect(hint).toContain('--cluster-key');
    });

    it('the named cluster key decides, and the other side is set aside', async () => {
      const keyring = await openKeyring(fork, memorySealing('a'), { clusterKey: fingerprints[0] });
      expect([keyring.fingerprint, keyring.epochs]).toEqual([fingerprints[0], [1, 2]]);
      expect(keyring.rejected.map(({ path }) => path)).toContain('keyring/epochs/3/epoch.json');
    });

    it('a cluster key that is on neither side does not decide', async () => {
      const clusterKey = `sha256:${'A'.repeat(43)}`;
      for (const documents of [fork, after]) {
        expect(await failureOf(() => openKeyring(documents, memorySealing('a'), { clusterKey }))).toMatchObject({
          code: 'forged',
        });
      }
    });

    it('a host whose credential was resealed is not disturbed', async () => {
      const keyring = await openKeyring(await reseal(fork, 'b'), memorySealing('b'));
      expect([keyring.fingerprint, keyring.epochs]).toEqual([fingerprints[0], [1, 2]]);
    });

    it('the named cluster key also stops a host that is shown the forged side only', async () => {
      const shown = fork.filter(({ path }) => path !== 'keyring/epochs/2/epoch.json');
      const { code, message } = await failureOf(() =>
        openKeyring(shown, memorySealing('a'), { clusterKey: fingerprints[0] }),
      );
      expect([code, message]).toEqual([
        'forged',
        `The keyring leads to the cluster key ${fingerprints[1]}, not to ${fingerprints[0]}.`,
      ]);
    });
  });

  it('numbers of epoch and generation may differ, and each generation accepts its own past', async () => {
    const from = await secretsOf(after, memorySealing('a'));
    const next = { label: 'third', epoch: 7, keyGeneration: 5, members: remaining, acceptedPast: digestsOf(after) };
    const third = [...after, ...(await nextGeneration(after, from, next))];
    const keyring = await openKeyring(third, memorySealing('a'));
    expect([keyring.keyGeneration, keyring.epochs, keyring.currentEpoch.epoch]).toEqual([5, [1, 2, 7], 7]);
    expect(keyring.rejected).toEqual([]);
    // Accepted when generation 1 ended, but not carried over when generation 2 did.
    expect(await failureOf(() => keyring.verify('manifest', oldManifest))).toMatchObject({ code: 'forged' });
  });

  it('an epoch document needs both signatures', async () => {
    const bytes = after.find(({ path }) => path === 'keyring/epochs/2/epoch.json')!.bytes;
    const { signatures, ...envelope } = JSON.parse(bytes.toString()) as { signatures: unknown[] };
    for (const kept of [signatures.slice(0, 1), signatures.slice(1)]) {
      const stripped = Buffer.from(JSON.stringify({ ...envelope, signatures: kept }));
      const documents = [...before, { path: 'keyring/epochs/2/epoch.json', bytes: stripped }];
      const keyring = await openKeyring(documents, memorySealing('a'));
      expect(keyring.epochs).toEqual([1]);
      expect(keyring.rejected).toEqual([
        {
          path: 'keyring/epochs/2/epoch.json',
          reason: 'keyring/epochs/2/epoch.json is not signed by the keys it names.',
        },
      ]);
    }
  });
});

/** What a remaining host does in an eviction: seals its key again, with the new cluster key. */
async function reseal(documents: readonly KeyringDocument[], name: string): Promise<KeyringDocument[]> {
  const { clusterId, privateKey } = await secretsOf(documents.filter(isGenuine), memorySealing(name));
  const { nodeId, verifyKey, keyGeneration } = await openKeyring(documents.filter(isGenuine), memorySealing(name));
  const old = documents.find(({ path }) => path.startsWith(`keyring/nodes/${nodeId}/`))!;
  const secret = encodeCredentialSecret({ privateKey, clusterId, clusterVerifyKey: verifyKey, keyGeneration });
  const sealed = await memorySealing(name).seal(secret);
  const from = await secretsOf(documents.filter(isGenuine), memorySealing('a'));
  const credentialId = '01900000-0000-7000-8000-000000000001';
  const credential = { ...credentialSchema.parse(payloadOf(old)), credentialId };
  const signer = from.signers.get(2)!;
  const slots = [...from.rootKeys].map(([epoch, key]) => newSlotDocument(clusterId, epoch, key, credential, signer));
  const sealedCredential = sealed.toString('base64');
  return [
    ...documents,
    newCredentialDocument(clusterId, { ...credential, sealedCredential }, signer),
    ...(await Promise.all(slots)),
  ];
}

const isGenuine = ({ path }: KeyringDocument): boolean => !path.startsWith('keyring/epochs/3/');
