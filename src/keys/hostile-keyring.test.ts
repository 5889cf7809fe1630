import { describe, expect, it } from 'vitest';
import {
  admit,
  failureOf,
  fixedRandomness,
  memorySealing,
  newTestCluster,
  newTestHost,
  payloadOf,
  secretsOf,
} from './keyring.fixture.ts';
import { type KeyringDocument, openKeyring } from './keyring.ts';
import { maxKeyringDocuments } from './keyring-entry.ts';
import { newEpochDocument, newMembersDocument, newSlotDocument } from './new-documents.ts';
import { membersSchema } from './payloads.ts';
import { replacesKeysOf } from './succession.ts';

const at = (documents: readonly KeyringDocument[], path: RegExp): KeyringDocument =>
  documents.find((document) => path.test(document.path))!;

describe('somebody who can write to the repository', () => {
  it('cannot stop the keyring from opening with junk', async () => {
    const documents = await newTestCluster('a', 'b');
    const { bytes } = at(documents, /members\/2/);
    const [nodeId, credentialId] = ['01900000-0000-7000-8000-000000000001', '01900000-0000-7000-8000-000000000002'];
    const junk = [
      { path: 'keyring/members/3.json', bytes: Buffer.alloc(0) },
      { path: 'keyring/members/4.json', bytes: Buffer.alloc(2 * 1024 * 1024, '[') },
      { path: 'keyring/members/5.json', bytes },
      { path: 'keyring/members/07.json', bytes },
      { path: 'keyring/members/99999999999.json', bytes },
      { path: 'keyring/epochs/2/epoch.json', bytes: Buffer.from('{"formatVersion":2}') },
      { path: 'keyring/epochs/3/epoch.json', bytes: at(documents, /epoch\.json/).bytes },
      { path: `keyring/epochs/1/${nodeId}.${credentialId}.json`, bytes: Buffer.from('"\\ud800"') },
      { path: `keyring/nodes/${nodeId}/${credentialId}.json`, bytes: Buffer.from([0xff, 0xfe]) },
      { path: '../../etc/passwd', bytes },
      { path: 'x'.repeat(100_000), bytes },
    ];
    const keyring = await openKeyring([...junk, ...documents], memorySealing('a'));
    expect(keyring.documents).toHaveLength(documents.length);
    expect(keyring.membership.number).toBe(2);
    expect(keyring.rejected.map(({ path }) => path).toSorted()).toEqual(junk.map(({ path }) => path).toSorted());
    expect(keyring.rejected.every(({ reason }) => reason.length > 10)).toBe(true);
  });

  it('cannot stop it with a flood of junk below the limit, and gets a clear error above it', async () => {
    const documents = await newTestCluster('a');
    const bytes = Buffer.from('{}');
    const flood = Array.from({ length: 20_000 }, (_, index) => ({ path: `keyring/members/${index + 2}.json`, bytes }));
    const keyring = await openKeyring([...flood, ...documents], memorySealing('a'));
    expect([keyring.rejected.length, keyring.membership.number]).toEqual([20_000, 1]);
    const more = Array.from({ length: maxKeyringDocuments + 1 }, () => ({ path: 'keyring/x', bytes }));
    const { code, message, hint } = await failureOf(() => openKeyring(more, memorySealing('a')));
    expect([code, hint.includes('keyring/')]).toEqual(['damaged', true]);
    expect(message).toContain('The keyring has 50001 documents of 100002 bytes');
    const big = Buffer.alloc(64 * 1024 * 1024);
    const large = Array.from({ length: 5 }, () => ({ path: 'keyring/x', bytes: big }));
    expect(await failureOf(() => openKeyring(large, memorySealing('a')))).toMatchObject({ code: 'damaged' });
  });

  it('cannot replace a document where a genuine copy is given too', async () => {
    const documents = await newTestCluster('a', 'b');
    const foreign = await newTestCluster('foreign');
    const replaced = documents.map(({ path }) => ({ path, bytes: foreign[0]!.bytes }));
    const keyring = await openKeyring([...replaced, ...documents, ...documents], memorySealing('a'));
    expect(keyring.documents).toHaveLength(documents.length);
    expect(keyring.rejected.length).toBeGreaterThanOrEqual(documents.length - 2);
  });

  it('cannot have memberships, epochs or slots of another cluster count', async () => {
    const documents = await newTestCluster('a');
    const foreign = await newTestCluster('x', 'y', 'z');
    const keyring = await openKeyring([...foreign, ...documents], memorySealing('a'));
    const { clusterId } = await openKeyring(foreign, memorySealing('x'));
    expect([keyring.membership.number, keyring.documents.length]).toEqual([1, documents.length]);
    expect(keyring.rejected).toHaveLength(foreign.length);
    expect(new Set(keyring.rejected.map(({ reason }) => reason))).toEqual(new Set([`belongs to cluster ${clusterId}`]));
  });

  it('who mixes in another cluster that this host belonged to stops it, naming both', async () => {
    const documents = await newTestCluster('a');
    const other = await newTestCluster('b', 'a');
    const { code, message } = await failureOf(() => openKeyring([...documents, ...other], memorySealing('a')));
    const ids = [documents, other].map((some) => /"clusterId":"([^"]+)"/.exec(some[0]!.bytes.toString())![1]!);
    expect(code).toBe('repository-foreign');
    for (const id of ids) expect(message).toContain(id);
  });

  it('cannot make one credential count as another by renaming or editing its file', async () => {
    const documents = await newTestCluster('a', 'b');
    const [nodeOfA, nodeOfB] = documents.filter(({ path }) => path.startsWith('keyring/nodes/'));
    const renamed = { path: nodeOfB!.path, bytes: nodeOfA!.bytes };
    const others = documents.filter((document) => document !== nodeOfA && document !== nodeOfB);
    expect(await failureOf(() => openKeyring([renamed, ...others], memorySealing('a')))).toMatchObject({
      code: 'damaged',
    });
    const edited = {
      path: nodeOfA!.path,
      bytes: Buffer.from(nodeOfA!.bytes.toString().replace('unattested', 'attested')),
    };
    const { code, message } = await failureOf(() => openKeyring([edited, nodeOfB!, ...others], memorySealing('a')));
    expect([code, message]).toEqual([
      'forged',
      `This host's hardware opens ${edited.path}, but the cluster did not sign that document.`,
    ]);
  });

  it('cannot move a slot to another node or epoch', async () => {
    const documents = await newTestCluster('a', 'b');
    const slots = documents.filter(({ path }) => /epochs\/1\/.*\..*\./.test(path));
    const [slotOfA, slotOfB] = slots;
    const others = documents.filter((document) => !slots.includes(document));
    const moved = [
      { path: slotOfA!.path, bytes: slotOfB!.bytes },
      { path: slotOfB!.path.replace('/1/', '/2/'), bytes: slotOfB!.bytes },
    ];
    for (const name of ['a', 'b']) {
      const keyring = await openKeyring([...moved, ...others], memorySealing(name));
      expect(await failureOf(() => keyring.epochKeys(1))).toMatchObject({ code: 'no-key' });
      expect(keyring.rejected.map(({ path }) => path).toSorted()).toEqual(moved.map(({ path }) => path).toSorted());
    }
  });
});

describe('an enrolled host that misuses the cluster key', () => {
  it('is noticed when two memberships have one number', async () => {
    const documents = await newTestCluster('a');
    const keyring = await openKeyring(documents, memorySealing('a'));
    const twice = await Promise.all(['b', 'c'].map((name) => admit(keyring, newTestHost('a'), newTestHost(name))));
    const { code, message } = await failureOf(() => openKeyring([...documents, ...twice.flat()], memorySealing('a')));
    expect([code, message]).toEqual(['forged', 'Two authentic documents claim to be keyring/members/2.json.']);
  });

  it('is noticed when a membership does not follow the one before', async () => {
    const documents = await newTestCluster('a');
    const { clusterId, signers } = await secretsOf(documents, memorySealing('a'));
    const payload = membersSchema.parse(payloadOf(at(documents, /members\/1/)));
    const next = newMembersDocument(clusterId, { ...payload, number: 2, previous: 'ab'.repeat(32) }, signers.get(1)!);
    const { code, message } = await failureOf(() => openKeyring([...documents, next], memorySealing('a')));
    expect([code, message]).toEqual([
      'forged',
      'keyring/members/2.json does not follow keyring/members/1.json, though both are authentic.',
    ]);
  });

  it('has no number, epoch or generation count that would leave none for the next', async () => {
    const documents = await newTestCluster('a', 'b');
    const { clusterId, signers } = await secretsOf(documents, memorySealing('b'));
    const { verifyKey, ...signer } = signers.get(1)!;
    const payload = membersSchema.parse(payloadOf(at(documents, /members\/2/)));
    const membership = (changed: Partial<typeof payload>) =>
      newMembersDocument(clusterId, { ...payload, previous: 'ab'.repeat(32), ...changed }, signer);
    const last = 2 ** 32 - 1;
    const successor = (epoch: number, keyGeneration: number) =>
      newEpochDocument(
        {
          clusterId,
          epoch,
          keyGeneration,
          rootKey: Buffer.alloc(32, 1),
          signingSeed: Buffer.alloc(32, keyGeneration % 251),
          previous: { ...signer, verifyKey, acceptedPast: [] },
          createdAt: new Date(0),
        },
        fixedRandomness('successor'),
      );
    const refused = [
      membership({ number: last }),
      membership({ number: 2 + 65_537 }),
      membership({ number: 5, currentEpoch: 2 }),
      successor(last, 2),
      successor(3, last),
    ];
    const keyring = await openKeyring([...documents, ...refused], memorySealing('a'));
    expect([keyring.membership.number, keyring.nextMembershipNumber, keyring.newestEpoch]).toEqual([2, 3, 1]);
    expect(new Set(keyring.rejected.map(({ path }) => path))).toEqual(new Set(refused.map(({ path }) => path)));
    expect(keyring.documents).toHaveLength(documents.length);
    for (const document of refused) expect(replacesKeysOf(keyring, document), document.path).toBe(false);
    const plausible = membership({ number: 2 + 65_536 });
    const later = await openKeyring([...documents, refused[0]!, plausible], memorySealing('a'));
    expect(later.membership.number).toBe(2 + 65_536);
  });

  it('cannot pass a wrong root key to another: the commitment of the epoch shows it', async () => {
    const documents = await newTestCluster('a', 'b');
    const { clusterId, signers } = await secretsOf(documents, memorySealing('a'));
    const keyring = await openKeyring(documents, memorySealing('b'));
    const member = keyring.membership.nodes.find(({ name }) => name === 'b')!;
    const wrong = await newSlotDocument(clusterId, 1, Buffer.alloc(32, 1), member, signers.get(1)!);
    const replaced = documents.map((document) => (document.path === wrong.path ? wrong : document));
    const opened = await openKeyring(replaced, memorySealing('b'));
    expect(opened.rejected).toEqual([{ path: wrong.path, reason: 'does not open to the root key of its epoch' }]);
    expect(await failureOf(() => opened.epochKeys(1))).toMatchObject({ code: 'no-key' });
  });
});
