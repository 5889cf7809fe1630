import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { type KeyringDocument, newClusterKeyring, openKeyring } from './keyring.ts';
import {
  digestsOf,
  failureOf,
  fixedClock,
  fixedRandomness,
  memorySealing,
  newTestCluster,
  payloadOf,
  secretsOf,
} from './keyring.fixture.ts';
import { membersSchema } from './payloads.ts';

const clusterPorts = { clock: fixedClock, randomness: fixedRandomness('cluster'), sealing: memorySealing('tokyo') };

describe('a new cluster', () => {
  it('is one credential, one membership, one epoch and one slot, and opens on its host', async () => {
    const { documents } = await newClusterKeyring(clusterPorts, { name: 'tokyo-1', site: 'tokyo' });
    const keyring = await openKeyring(documents, memorySealing('tokyo'));
    const { nodeId, credentialId } = keyring;
    expect(keyring.documents.map(({ path }) => path)).toEqual([
      `keyring/epochs/1/${nodeId}.${credentialId}.json`,
      'keyring/epochs/1/epoch.json',
      'keyring/members/1.json',
      `keyring/nodes/${nodeId}/${credentialId}.json`,
    ]);
    expect([keyring.rejected, keyring.isMember, keyring.keyGeneration, keyring.epochs]).toEqual([[], true, 1, [1]]);
    expect(keyring.membership).toMatchObject({ number: 1, currentEpoch: 1, keyGeneration: 1 });
    expect(keyring.membership.nodes).toMatchObject([
      { nodeId, credentialId, name: 'tokyo-1', site: 'tokyo', sealingProvider: 'software', grade: 'unattested' },
    ]);
    expect(keyring.epochsOpenableBy(nodeId)).toEqual(new Set([1]));
    expect(keyring.epochsOpenableBy(credentialId)).toEqual(new Set());
    expect(keyring.currentEpoch).toBe(keyring.epochKeys(1));
    expect(keyring.fingerprint).toMatch(/^sha256:[\w-]{43}$/);
  });

  it('opens to the same keys whatever the order of the documents', async () => {
    const documents = await newTestCluster('a', 'b', 'c');
    const [first, second] = await Promise.all([
      openKeyring(documents, memorySealing('b')),
      openKeyring(documents.toReversed(), memorySealing('b')),
    ]);
    expect(second.documents).toEqual(first.documents);
    expect(second.epochKeys(1).chunk).toEqual(first.epochKeys(1).chunk);
    expect(second.membership).toEqual(first.membership);
  });

  it('refuses names that cannot be shown', async () => {
    for (const name of ['', ' a', 'a\n', 'a\u202eb', 'x'.repeat(64)]) {
      const { code, message } = await failureOf(() => newClusterKeyring(clusterPorts, { name, site: null }));
      expect([code, message]).toEqual(['usage', `${JSON.stringify(name)} cannot be a node's name.`]);
    }
    expect((await newClusterKeyring(clusterPorts, { name: '東京 1', site: '関東' })).documents).toHaveLength(4);
  });
});

describe('signing and verifying', () => {
  it('gives back the payload that was signed, for every type', async () => {
    const keyring = await openKeyring(await newTestCluster('a'), memorySealing('a'));
    for (const type of ['marker', 'manifest', 'verification', 'condemned'] as const) {
      expect(keyring.verify(type, keyring.sign(type, { name: 'ü ✓', list: [1, null] }))).toEqual({
        name: 'ü ✓',
        list: [1, null],
      });
    }
  });

  it('refuses a document after any single byte of it changed', async () => {
    const keyring = await openKeyring(await newTestCluster('a'), memorySealing('a'));
    const bytes = keyring.sign('manifest', { sequence: 1 });
    for (let position = 0; position < bytes.length; position += 1) {
      const altered = Buffer.from(bytes);
      altered[position]! ^= 1;
      const { code } = await failureOf(() => keyring.verify('manifest', altered));
      expect(['damaged', 'forged', 'version-incompatible']).toContain(code);
    }
  });

  it('refuses a document as another type, or with the signature of another cluster', async () => {
    const keyring = await openKeyring(await newTestCluster('a'), memorySealing('a'));
    const other = await openKeyring(await newTestCluster('other'), memorySealing('other'));
    const manifest = keyring.sign('manifest', { sequence: 1 });
    expect(await failureOf(() => keyring.verify('verification', manifest))).toMatchObject({ code: 'damaged' });
    const renamed = Buffer.from(manifest.toString().replace('"manifest"', '"condemned"'));
    expect(await failureOf(() => keyring.verify('condemned', renamed))).toMatchObject({ code: 'forged' });
    const foreign = await failureOf(() => keyring.verify('manifest', other.sign('manifest', { sequence: 1 })));
    expect(foreign.code).toBe('forged');
    expect(foreign.message).toContain(`belongs to cluster ${other.clusterId}, not to ${keyring.clusterId}`);
    const adopted = Buffer.from(other.sign('manifest', {}).toString().replace(other.clusterId, keyring.clusterId));
    expect((await failureOf(() => keyring.verify('manifest', adopted))).message).toContain('did not make');
  });

  it('needs a known key generation', async () => {
    const keyring = await openKeyring(await newTestCluster('a'), memorySealing('a'));
    const bytes = Buffer.from(keyring.sign('marker', {}).toString().replace('"keyGeneration":1', '"keyGeneration":7'));
    const { code, message } = await failureOf(() => keyring.verify('marker', bytes));
    expect([code, message.includes('key generation 7')]).toEqual(['forged', true]);
  });
});

describe('a host without a key', () => {
  it('is told which hosts have one', async () => {
    const documents = await newTestCluster('tokyo', 'osaka');
    const { code, message } = await failureOf(() => openKeyring(documents, memorySealing('stranger')));
    expect(code).toBe('no-key');
    expect(message).toMatch(/^No key on this host opens the keyring of cluster [0-9a-f-]{36}\. /);
    expect(message).toContain('Enrolled hosts, by unverified documents: osaka, tokyo.');
  });

  it('is not even asked about credentials of another kind of hardware', async () => {
    const documents = await newTestCluster('a');
    const sealing = {
      ...memorySealing('a'),
      provider: 'tpm2' as const,
      unseal: () => Promise.reject(new Error('asked')),
    };
    expect(await failureOf(() => openKeyring(documents, sealing))).toMatchObject({ code: 'no-key' });
  });

  it('hears about a keyring without credentials that it is damaged', async () => {
    const documents = await newTestCluster('a');
    const withoutNodes = documents.filter(({ path }) => !path.startsWith('keyring/nodes/'));
    for (const some of [[], withoutNodes]) {
      expect(await failureOf(() => openKeyring(some, memorySealing('a')))).toMatchObject({ code: 'damaged' });
    }
  });

  it('passes on that the device does not answer', async () => {
    const documents = await newTestCluster('a');
    const sealing = { ...memorySealing('a'), unseal: () => Promise.reject(new Error('device busy')) };
    await expect(openKeyring(documents, sealing)).rejects.toThrow('device busy');
  });
});

describe('secrets', () => {
  it('do not show when a keyring is printed or serialized', async () => {
    const documents = await newTestCluster('a');
    const keyring = await openKeyring(documents, memorySealing('a'));
    const { rootKeys, privateKey } = await secretsOf(documents, memorySealing('a'));
    const keys = keyring.epochKeys(1);
    const shown = inspect(keyring, { depth: 10, maxArrayLength: null }) + inspect(keys) + JSON.stringify(keys);
    expect(shown).toContain('<hidden>');
    for (const secret of [rootKeys.get(1)!, privateKey, keys.chunk, keys.chunkId, keys.signingKey]) {
      expect(shown).not.toContain(secret.toString('hex'));
      expect(shown).not.toContain(secret.toString('hex').match(/../g)!.slice(0, 8).join(' '));
      expect(shown).not.toContain(secret.toJSON().data.slice(0, 4).join(', '));
    }
  });
});

describe('what is missing', () => {
  const without = (documents: readonly KeyringDocument[], path: RegExp) => documents.filter((d) => !path.test(d.path));

  it('an epoch document, so that nothing can be trusted, is reported as damage', async () => {
    const documents = without(await newTestCluster('a'), /epoch\.json$/);
    const { code, message } = await failureOf(() => openKeyring(documents, memorySealing('a')));
    expect(code).toBe('damaged');
    expect(message).toMatch(/^The epoch document of key generation 1 \(sha256:.*\) is missing\.$/);
  });

  it('every membership document is reported as damage', async () => {
    const documents = without(await newTestCluster('a'), /members/);
    expect(await failureOf(() => openKeyring(documents, memorySealing('a')))).toMatchObject({ code: 'damaged' });
  });

  it('the own slot leaves a keyring that verifies, and names who can open the epoch', async () => {
    const documents = await newTestCluster('a', 'b');
    const { nodeId } = await openKeyring(documents, memorySealing('b'));
    const keyring = await openKeyring(without(documents, new RegExp(`epochs/1/${nodeId}`)), memorySealing('b'));
    expect(keyring.isMember).toBe(true);
    expect(keyring.epochsOpenableBy(nodeId)).toEqual(new Set());
    const failures = [() => keyring.currentEpoch, () => keyring.epochKeys(1), () => keyring.sign('marker', {})];
    for (const work of failures) {
      expect(await failureOf(work)).toMatchObject({
        code: 'no-key',
        message: 'No key on this host opens epoch 1. Openable by: a.',
      });
    }
    expect(await failureOf(() => keyring.epochKeys(9))).toMatchObject({
      code: 'no-key',
      message: 'The keyring has no authentic epoch 9; it has 1.',
    });
  });

  it('an earlier membership changes nothing, because each is signed', async () => {
    const documents = without(await newTestCluster('a', 'b', 'c'), /members\/2/);
    const keyring = await openKeyring(documents, memorySealing('a'));
    expect([keyring.membership.number, keyring.membership.nodes.map(({ name }) => name)]).toEqual([3, ['a', 'b', 'c']]);
  });
});

it('every membership names the digest of the one before it', async () => {
  const documents = await newTestCluster('a', 'b', 'c');
  const members = documents.filter(({ path }) => path.startsWith('keyring/members/'));
  expect(members.map(({ path }) => path)).toEqual([1, 2, 3].map((number) => `keyring/members/${number}.json`));
  const previous = members.map((document) => membersSchema.parse(payloadOf(document)).previous);
  expect(previous).toEqual([null, ...digestsOf(members.slice(0, 2))]);
});
