import { beforeAll, describe, expect, it } from 'vitest';
import { admitNode, findClusterKey, newInvite, newJoinRequest, type NewJoinRequest, parseToken } from './enrolment.ts';
import { admit, failureOf, fixedClock, newTestCluster, newTestHost, type TestHost } from './keyring.fixture.ts';
import { joinRequestMacKey } from './join-token.ts';
import { createHmac } from 'node:crypto';
import { type KeyringDocument, openKeyring, type OpenedKeyring } from './keyring.ts';

const tokyo = newTestHost('tokyo');
let documents: KeyringDocument[];
let keyring: OpenedKeyring;

beforeAll(async () => {
  documents = await newTestCluster('tokyo');
  keyring = await openKeyring(documents, tokyo.sealing);
});

async function join(host: TestHost, token: string): Promise<NewJoinRequest> {
  const cluster = findClusterKey(documents, parseToken(token).fingerprint);
  return newJoinRequest({ ...host.ports, ...cluster, token }, { name: host.name, site: null });
}

/** A request with some members replaced, by somebody who has the token. */
function edited(
  { request }: NewJoinRequest,
  macKey: Buffer,
  change: (content: Editable) => void,
): Pick<NewJoinRequest, 'request' | 'mac'> {
  const content = JSON.parse(request.toString()) as Editable;
  change(content);
  const bytes = Buffer.from(JSON.stringify(content));
  return { request: bytes, mac: createHmac('sha256', macKey).update(bytes).digest() };
}

interface Editable {
  [member: string]: unknown;
  node: Record<string, unknown>;
}

describe('enrolment', () => {
  it('lets a second and a third host open what was written before they joined', async () => {
    let all = documents;
    for (const name of ['osaka', 'nagoya']) {
      all = [...all, ...(await admit(await openKeyring(all, tokyo.sealing), tokyo, newTestHost(name)))];
    }
    const opened = await openKeyring(all, newTestHost('nagoya').sealing);
    expect(opened.rejected).toEqual([]);
    expect(opened.membership.number).toBe(3);
    expect(opened.membership.nodes.map(({ name, site }) => [name, site])).toEqual([
      ['tokyo', null],
      ['osaka', 'osaka'],
      ['nagoya', 'osaka'],
    ]);
    expect(opened.epochKeys(1).chunk).toEqual(keyring.epochKeys(1).chunk);
    expect(opened.verify('manifest', keyring.sign('manifest', { sequence: 1 }))).toEqual({ sequence: 1 });
    for (const { nodeId } of opened.membership.nodes) expect(opened.epochsOpenableBy(nodeId)).toEqual(new Set([1]));
    // A host that joined admits the next one as well as the first host does.
    const further = await admit(opened, newTestHost('nagoya'), newTestHost('kyoto'));
    const last = await openKeyring([...all, ...further], newTestHost('kyoto').sealing);
    expect(last.epochKeys(1).chunk).toEqual(keyring.epochKeys(1).chunk);
  });

  it('stores the membership last, after everything it promises', async () => {
    const added = await admit(keyring, tokyo, newTestHost('osaka'));
    expect(added.map(({ path }) => path.replaceAll(/[0-9a-f-]{36}/g, '*'))).toEqual([
      'keyring/nodes/*/*.json',
      'keyring/epochs/1/*.*.json',
      'keyring/members/2.json',
    ]);
    const { nodeId } = await openKeyring([...documents, ...added], newTestHost('osaka').sealing);
    const crashed = await openKeyring([...documents, ...added.slice(0, -1)], tokyo.sealing);
    expect([crashed.membership.number, crashed.epochsOpenableBy(nodeId)]).toEqual([1, new Set()]);
  });

  it('puts nothing secret into the request', async () => {
    const { token } = newInvite(keyring, tokyo.ports.randomness);
    const { request } = await join(newTestHost('osaka'), token);
    const { secret } = parseToken(token);
    expect([request.includes(secret), request.includes(secret.toString('hex')), request.includes(token)]).toEqual([
      false,
      false,
      false,
    ]);
  });

  it('refuses a request made with another token', async () => {
    const invites = [newInvite(keyring, tokyo.ports.randomness), newInvite(keyring, tokyo.ports.randomness)];
    const request = await join(newTestHost('osaka'), invites[0]!.token);
    expect(invites[0]!.macKey).toEqual(joinRequestMacKey(parseToken(invites[0]!.token).secret));
    for (const mac of [request.mac, request.mac.subarray(1), Buffer.alloc(0)]) {
      const work = () => admitNode(keyring, { request: request.request, mac, macKey: invites[1]!.macKey }, tokyo.ports);
      expect(await failureOf(work)).toMatchObject({
        code: 'not-permitted',
        message: 'The join request was not made with the token of this invite.',
      });
    }
  });

  it('refuses a name that another member has, and says how to choose one', async () => {
    const { token, macKey } = newInvite(keyring, tokyo.ports.randomness);
    const request = await join(newTestHost('osaka'), token);
    const namesake = edited(request, macKey, ({ node }) => (node['name'] = 'tokyo'));
    expect(await failureOf(() => admitNode(keyring, { ...namesake, macKey }, tokyo.ports))).toMatchObject({
      code: 'not-permitted',
      message: `The name tokyo is that of node ${keyring.nodeId} already.`,
      hint: expect.stringMatching(/^Run this again under another name \(--node-name, .* the token can still be used\./),
    });
  });

  it('refuses a request that was altered in any byte', async () => {
    const { token, macKey } = newInvite(keyring, tokyo.ports.randomness);
    const { request, mac } = await join(newTestHost('osaka'), token);
    for (let position = 0; position < request.length; position += 7) {
      const altered = Buffer.from(request);
      altered[position]! ^= 1;
      const work = () => admitNode(keyring, { request: altered, mac, macKey }, tokyo.ports);
      expect(await failureOf(work)).toMatchObject({ code: 'not-permitted' });
    }
  });

  it('goes on with what an interrupted admission left, and with nothing that looks like it', async () => {
    const { token, macKey } = newInvite(keyring, tokyo.ports.randomness);
    const request = await join(newTestHost('osaka'), token);
    const { documents: first } = await admitNode(keyring, { ...request, macKey }, tokyo.ports);
    const [credential, slot] = first;
    for (const left of [[credential!], [credential!, slot!]]) {
      const found = await openKeyring([...documents, ...left], tokyo.sealing);
      const { documents: second } = await admitNode(found, { ...request, macKey }, tokyo.ports);
      expect(second.map(({ path }) => path)).toEqual(first.map(({ path }) => path));
      expect(second.slice(0, left.length)).toEqual(left);
      const now = await openKeyring([...documents, ...second], newTestHost('osaka').sealing);
      expect([now.isMember, now.rejected]).toEqual([true, []]);
    }
    const found = await openKeyring([...documents, credential!, slot!], tokyo.sealing);
    const renamed = edited(request, macKey, ({ node }) => (node['name'] = 'kyoto'));
    const otherCredential = edited(request, macKey, ({ node }) => (node['credentialId'] = request.nodeId));
    for (const forged of [renamed, otherCredential]) {
      const failure = await failureOf(() => admitNode(found, { ...forged, macKey }, tokyo.ports));
      expect([failure.code, failure.message]).toEqual(['not-permitted', expect.stringContaining('was used before')]);
    }
  });

  it('refuses a replayed request and hardware that is enrolled already', async () => {
    const { token, macKey } = newInvite(keyring, tokyo.ports.randomness);
    const request = await join(newTestHost('osaka'), token);
    const { documents: added } = await admitNode(keyring, { ...request, macKey }, tokyo.ports);
    const now = await openKeyring([...documents, ...added], tokyo.sealing);
    const again = await failureOf(() => admitNode(now, { ...request, macKey }, tokyo.ports));
    expect(again.code).toBe('not-permitted');
    expect(again.message).toMatch(/^The hardware software:[0-9a-f]{32} is enrolled already, as node osaka \(/);
    const own = await join(tokyo, token);
    expect(await failureOf(() => admitNode(now, { ...own, macKey }, tokyo.ports))).toMatchObject({
      code: 'not-permitted',
    });
    // Also when that hardware's node is no longer a member: ids are used once.
    const membership = { ...now.membership, nodes: keyring.membership.nodes };
    const afterEviction = await failureOf(() => admitNode({ ...now, membership }, { ...request, macKey }, tokyo.ports));
    expect(afterEviction.message).toContain('was used before');
  });

  it('refuses what a token holder made up', async () => {
    const { token, macKey } = newInvite(keyring, tokyo.ports.randomness);
    const request = await join(newTestHost('osaka'), token);
    const changes: [string, (content: Editable) => void][] = [
      ['damaged', (content) => (content.node['name'] = 'a\u0000b')],
      ['damaged', (content) => (content.node['publicKey'] = Buffer.alloc(32).toString('base64'))],
      ['damaged', (content) => (content.node['nodeId'] = '../../members/2')],
      ['damaged', (content) => (content.node['hardwareIdentity'] = 'x'.repeat(201))],
      ['damaged', (content) => (content.node['admin'] = true)],
      ['damaged', (content) => delete content['verifyKey']],
      ['version-incompatible', (content) => (content['formatVersion'] = 2)],
      ['not-permitted', (content) => (content['keyGeneration'] = 2)],
      ['not-permitted', (content) => (content['clusterId'] = content.node['nodeId'])],
      ['not-permitted', (content) => (content.node['nodeId'] = keyring.nodeId)],
      ['not-permitted', (content) => (content['padding'] = 'x'.repeat(200_000))],
    ];
    for (const [code, change] of changes) {
      const work = () => admitNode(keyring, { ...edited(request, macKey, change), macKey }, tokyo.ports);
      expect(await failureOf(work)).toMatchObject({ code });
    }
  });

  it('grades the hardware itself, whatever a joining host says of it', async () => {
    const { token, macKey } = newInvite(keyring, tokyo.ports.randomness);
    const request = await join(newTestHost('osaka'), token);
    const boasting = edited(request, macKey, (content) => (content.node['grade'] = 'tpm2-certified'));
    const { documents: added, nodeId } = await admitNode(keyring, { ...boasting, macKey }, tokyo.ports);
    const { membership } = await openKeyring([...documents, ...added], tokyo.sealing);
    expect(membership.nodes.find((node) => node.nodeId === nodeId)?.grade).toBe('unattested');
  });

  it('does not trust a cluster that the token does not name', async () => {
    const { token } = newInvite(keyring, tokyo.ports.randomness);
    const foreign = await openKeyring(await newTestCluster('foreign'), newTestHost('foreign').sealing);
    const { fingerprint } = parseToken(token);
    expect(await failureOf(() => findClusterKey(foreign.documents, fingerprint))).toMatchObject({ code: 'forged' });
    const cluster = { clusterId: foreign.clusterId, keyGeneration: 1, clusterVerifyKey: foreign.verifyKey };
    const host = newTestHost('osaka');
    const work = () => newJoinRequest({ ...host.ports, ...cluster, token }, { name: 'osaka', site: null });
    const { code, message } = await failureOf(work);
    expect([code, message.includes(foreign.fingerprint), message.includes(fingerprint)]).toEqual([
      'forged',
      true,
      true,
    ]);
  });

  it('finds the cluster key among documents that were tampered with', async () => {
    const junk = { path: 'keyring/epochs/1/epoch.json', bytes: Buffer.from('{}') };
    expect(findClusterKey([junk, ...documents], keyring.fingerprint)).toEqual({
      clusterId: keyring.clusterId,
      keyGeneration: 1,
      clusterVerifyKey: keyring.verifyKey,
    });
  });

  it('is offered and done by members only', async () => {
    const notMember = { ...keyring, isMember: false };
    expect(await failureOf(() => newInvite(notMember, tokyo.ports.randomness))).toMatchObject({
      code: 'not-permitted',
    });
  });
});

describe('a token', () => {
  it('is read back also from a mail that broke it into lines', () => {
    const { token, inviteId } = newInvite(keyring, tokyo.ports.randomness);
    expect(token).toMatch(/^emjoin1[0-9a-f]{168}$/);
    const broken = `  ${token.slice(0, 70)}\r\n${token.slice(70)}\n`;
    expect(parseToken(broken)).toEqual(parseToken(token));
    expect(parseToken(token)).toMatchObject({ inviteId, fingerprint: keyring.fingerprint });
  });

  it('with a typing mistake anywhere is a usage error that does not repeat the secret', async () => {
    const { token } = newInvite(keyring, tokyo.ports.randomness);
    for (let position = 0; position < token.length; position += 1) {
      const typo = token.slice(0, position) + (token[position] === '0' ? '1' : '0') + token.slice(position + 1);
      const { code, message } = await failureOf(() => parseToken(typo));
      expect([code, message.includes(token.slice(50, 60))]).toEqual(['usage', false]);
    }
    for (const text of ['', 'emjoin1', token.slice(1), `${token}00`, token.toUpperCase(), 'x'.repeat(10_000_000)]) {
      expect(await failureOf(() => parseToken(text))).toMatchObject({ code: 'usage' });
    }
  });
});

it('an admitted credential says when the host made it', async () => {
  const [credential] = await admit(keyring, tokyo, newTestHost('osaka'));
  expect(keyring.verify('credential', credential!.bytes)).toMatchObject({
    name: 'osaka',
    grade: 'unattested',
    createdAt: fixedClock.now().toISOString(),
  });
});
