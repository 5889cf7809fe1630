import { X509Certificate } from 'node:crypto';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { systemClock } from '#adapters/system/clock.ts';
import { systemRandomness } from '#adapters/system/randomness.ts';
import { createTpm2Sealing } from '#adapters/tpm2/tpm2-sealing.ts';
import type { NodeId } from '#model/identifiers.ts';
import { ready } from '#model/readiness.ts';
import { defaultPcrSelection, parsePcrSelection } from '#model/tpm/pcr-selection.ts';
import { credentialSchema } from '#keys/payloads.ts';
import { createBackup } from '#operations/create-backup.ts';
import type { Cluster } from '#operations/context.ts';
import { enrolNode, inviteNode } from '#operations/enrol-node.ts';
import { restore } from '#operations/restore.ts';
import type { Sealing } from '#ports/sealing.ts';
import { runAdmission } from '#server/admission.ts';
import { Gate } from '#server/gate.ts';
import { listAuditEvents } from '#store/audit.ts';
import { makeCluster } from '../fixtures/cluster.ts';
import { makeContext, type TestHost } from '../fixtures/host.ts';
import { anotherHost } from '../fixtures/hosts.ts';
import { confirmed, reopen } from '../fixtures/restoring.ts';
import { addUsers } from '../fixtures/rows.ts';
import { swtpmUnavailable, TestTpm } from '../fixtures/swtpm.ts';
import { makeTpmMaker } from '../fixtures/tpm-maker.ts';

beforeEach((context) => {
  if (swtpmUnavailable !== undefined) context.skip(swtpmUnavailable);
});

const openSealing = (tpm: TestTpm): Sealing =>
  createTpm2Sealing({
    device: tpm,
    selection: parsePcrSelection(defaultPcrSelection)!,
    approvalKey: undefined,
    approvalsDirectory: '/nonexistent',
    clock: systemClock,
    randomness: systemRandomness,
  });

interface Place {
  readonly host: TestHost;
  readonly cluster: Cluster;
}

/** A cluster whose manager answers hosts that ask to be enrolled, until the test ends. */
async function servedCluster(tpmAuthorities: readonly X509Certificate[] = []): Promise<Place> {
  const { host, cluster } = await makeCluster();
  const gate = new Gate(systemClock);
  gate.open(ready, Infinity);
  const stop = new AbortController();
  const context = makeContext({ signal: stop.signal });
  const parts = {
    host: { ...host, hardwareTrust: { tpmAuthorities } },
    database: cluster.database,
    gate,
    log: () => {},
  };
  const ended = runAdmission(context, parts);
  onTestFinished(async () => {
    stop.abort();
    await ended;
  });
  return { host, cluster };
}

async function machine({ host }: Place, name: string, sealing: Sealing): Promise<TestHost> {
  return { ...(await anotherHost(host, name)), sealing };
}

async function enrol({ cluster }: Place, joining: TestHost, hardwareIdentity?: string) {
  const { token } = await inviteNode(makeContext(), cluster, { hardwareIdentity });
  return await enrolNode(makeContext(), joining, { token, waitMs: 60_000 });
}

async function membersOf({ host }: Place) {
  const { keyring, database } = await reopen(makeContext(), host);
  const events = await listAuditEvents(database.queries, { type: 'NODE_STATUS' });
  return { keyring, nodes: keyring.membership.nodes, events };
}

describe('a host with a TPM that is enrolled', () => {
  it('is graded by what vouches for its endorsement key', async () => {
    const maker = makeTpmMaker();
    const place = await servedCluster([new X509Certificate(maker.pem)]);
    const [unknown, looked, made] = [await TestTpm.start(), await TestTpm.start(), await TestTpm.start()];
    maker.certify(made);
    makeTpmMaker().certify(unknown);
    const identity = await openSealing(looked).hardwareIdentity();

    const first = await enrol(place, await machine(place, 'host-b', openSealing(unknown)));
    const second = await enrol(place, await machine(place, 'host-c', openSealing(looked)), identity);
    const third = await enrol(place, await machine(place, 'host-d', openSealing(made)));

    expect([first.grade, second.grade, third.grade]).toEqual(['unattested', 'tpm2-confirmed', 'tpm2-certified']);
    const { nodes, events } = await membersOf(place);
    expect(nodes.map(({ name, grade }) => [name, grade])).toEqual([
      ['host-a', 'unattested'],
      ['host-b', 'unattested'],
      ['host-c', 'tpm2-confirmed'],
      ['host-d', 'tpm2-certified'],
    ]);
    expect(events.map(({ subject, details }) => [subject, details])).toContainEqual([
      third.nodeId,
      expect.objectContaining({ grade: 'tpm2-certified' }),
    ]);
  });

  it('is refused under an invite for other hardware, and so is a host that can prove none', async () => {
    const place = await servedCluster();
    const [tpm, invited] = [await TestTpm.start(), await TestTpm.start()];
    const identity = await openSealing(invited).hardwareIdentity();
    const other = await machine(place, 'host-b', openSealing(tpm));
    await expect(enrol(place, other, identity)).rejects.toMatchObject({
      code: 'not-permitted',
      message: expect.stringContaining(`the invite is for the hardware ${identity}`),
    });
    const { sealing } = await anotherHost(place.host, 'host-c');
    const claims = { ...sealing, hardwareIdentity: () => Promise.resolve(identity) };
    await expect(enrol(place, await machine(place, 'host-c', claims), identity)).rejects.toMatchObject({
      message: expect.stringContaining('did not prove to be the hardware'),
    });
    expect((await membersOf(place)).nodes.map(({ name }) => name)).toEqual(['host-a']);
  });

  it('keeps its place with a new key after its start changed, and opens what was backed up before', async () => {
    const place = await servedCluster();
    const tpm = await TestTpm.start();
    const joining = await machine(place, 'host-b', openSealing(tpm));
    const identity = await joining.sealing.hardwareIdentity();
    const before = await enrol(place, joining, identity);
    const { keyring: then } = await membersOf(place);
    const opened = await reopen(makeContext(), place.host);
    await addUsers(opened.database, 3);
    const backup = await createBackup(makeContext(), opened, { kind: 'manual' });
    tpm.extend(0);
    await expect(reopen(makeContext(), joining)).rejects.toMatchObject({
      code: 'no-key',
      message: expect.stringContaining('PCR 0 (firmware) changed'),
    });

    const after = await enrol(place, joining);

    expect(after).toMatchObject({ nodeId: before.nodeId, grade: 'tpm2-confirmed', epochs: [1] });
    const { nodes, events, keyring } = await membersOf(place);
    expect(nodes.map(({ nodeId }) => nodeId)).toEqual(then.membership.nodes.map(({ nodeId }) => nodeId));
    expect(credentialsOf(nodes, before.nodeId)).not.toEqual(credentialsOf(then.membership.nodes, before.nodeId));
    expect([...keyring.epochsOpenableBy(before.nodeId)]).toEqual([1]);
    expect(events.map(({ action, details }) => [action, details])).toContainEqual([
      'node enrolled again',
      expect.objectContaining({ replaces: credentialsOf(then.membership.nodes, before.nodeId)[0] }),
    ]);
    expect(await restore(makeContext(), joining, confirmed)).toMatchObject({ backupId: backup.id });
  });
});

const credentialsOf = (nodes: readonly { readonly nodeId: NodeId; readonly credentialId: string }[], id: NodeId) =>
  nodes.filter(({ nodeId }) => nodeId === id).map(({ credentialId }) => credentialId);

async function placeWithMember() {
  const place = await servedCluster();
  const [tpm, liar] = [await TestTpm.start(), await TestTpm.start()];
  const member = await machine(place, 'host-b', openSealing(tpm));
  await enrol(place, member, await member.sealing.hardwareIdentity());
  const { keyring, nodes } = await membersOf(place);
  const path = `keyring/nodes/${nodes[1]!.nodeId}/${nodes[1]!.credentialId}.json`;
  const document = keyring.documents.find((each) => each.path === path)!;
  const { sealedCredential } = credentialSchema.parse(keyring.verify('credential', document.bytes));
  return { place, nodes, member, stolen: Buffer.from(sealedCredential, 'base64'), own: openSealing(liar) };
}

describe('a host that lies about its hardware', () => {
  it('gets nobody’s place: with the identity of a member, with its evidence, or with all that is public of it', async () => {
    const { place, nodes, member, stolen, own } = await placeWithMember();
    const identity = nodes[1]!.hardwareIdentity;
    const itsEvidence = await member.sealing.evidence!.collect(stolen, Buffer.alloc(32));
    const claims = { ...own, hardwareIdentity: () => Promise.resolve(identity) };
    let kept: Buffer | undefined;
    const lies: [Sealing, string][] = [
      [{ ...claims, evidence: undefined! }, 'is enrolled already'],
      [claims, 'is not that of the endorsement key shown'],
      [{ ...claims, evidence: { ...own.evidence!, collect: () => Promise.resolve(itsEvidence) } }, 'by another TPM'],
      [
        {
          ...claims,
          seal: () => Promise.resolve(stolen),
          evidence: { collect: () => Promise.resolve(itsEvidence), answer: () => Promise.resolve(Buffer.alloc(32)) },
        },
        'is for other hardware or another key',
      ],
      [
        {
          ...claims,
          seal: (secret) => {
            kept = Buffer.from(secret);
            return Promise.resolve(stolen);
          },
          unseal: () => Promise.resolve(kept === undefined ? undefined : Buffer.from(kept)),
          evidence: { collect: () => Promise.resolve(itsEvidence), answer: () => Promise.resolve(Buffer.alloc(32)) },
        },
        `did not prove to be the hardware ${identity}`,
      ],
    ];
    for (const [sealing, message] of lies) {
      const liar = await machine(place, 'host-b', sealing);
      await expect(enrol(place, liar)).rejects.toMatchObject({
        code: 'not-permitted',
        message: expect.stringContaining(message),
      });
    }
    expect((await membersOf(place)).nodes).toEqual(nodes);
  });
});
