import { createHash, type KeyObject } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { createSoftwareSealing } from '#adapters/software/software-sealing.ts';
import { findClusterKey, newInvite, newJoinRequest, admitNode } from '#keys/enrolment.ts';
import { deriveEpochKeys } from '#keys/epoch-keys.ts';
import { type KeyringDocument, newClusterKeyring, openKeyring, type OpenedKeyring } from '#keys/keyring.ts';
import { memberOf, newCredential } from '#keys/new-cluster.ts';
import * as newDocuments from '#keys/new-documents.ts';
import type { CredentialPayload, EpochPayload } from '#keys/payloads.ts';
import { parseDocument, parsePayload } from '#keys/signed-document.ts';
import type { Clock } from '#ports/clock.ts';
import type { Randomness } from '#ports/randomness.ts';
import type { Sealing } from '#ports/sealing.ts';
import { fixedRandomness } from './fixed-randomness.ts';

const fixedClock: Clock = {
  now: () => new Date('2026-11-22T00:00:00.000Z'),
  monotonicMs: () => 0,
  sleep: async () => undefined,
};

const ports = { clock: fixedClock, randomness: fixedRandomness('repository-v1') };

/** Software sealing with a known host key. The key file is gone when `work` has ended. */
export async function withHost<T>(hostKey: Buffer, work: (sealing: Sealing) => Promise<T>): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), 'enclave-manager-vectors-'));
  const keyFile = join(directory, 'host.key');
  writeFileSync(keyFile, hostKey, { mode: 0o600 });
  try {
    return await work(createSoftwareSealing({ keyFile, keyExpected: true, randomness: ports.randomness }));
  } finally {
    rmSync(directory, { recursive: true });
  }
}

export const vectorRandomness: Randomness = ports.randomness;

/** A cluster of two hosts: the second joined by token. */
export async function newVectorCluster(first: Sealing, second: Sealing): Promise<KeyringDocument[]> {
  const { documents } = await newClusterKeyring({ ...ports, sealing: first }, { name: 'tokyo-1', site: 'tokyo' });
  const keyring = await openKeyring(documents, first);
  const { token, macKey } = newInvite(keyring, ports.randomness);
  const cluster = findClusterKey(documents, keyring.fingerprint);
  const joining = { ...ports, ...cluster, sealing: second, token };
  const { request, mac } = await newJoinRequest(joining, { name: 'osaka-1', site: null });
  const admitted = await admitNode(keyring, { request, mac, macKey }, ports);
  return [...documents, ...admitted.documents];
}

/**
 * The second generation of the signing key with the second epoch. The first host seals its credential anew, the second has
 * not done so yet. `authentic` is everything signed so far, which becomes the accepted past.
 */
export async function rotated(
  keyring: OpenedKeyring,
  first: Sealing,
  authentic: readonly Uint8Array[],
): Promise<KeyringDocument[]> {
  const { clusterId, membership } = keyring;
  const createdAt = fixedClock.now();
  const [rootKey, signingSeed] = [ports.randomness.bytes(32), ports.randomness.bytes(32)];
  const signer = newDocuments.newSigner(2, signingSeed);
  const previous = {
    ...previousSigner(keyring),
    acceptedPast: authentic.map((bytes) => createHash('sha256').update(bytes).digest('hex')),
  };
  const epoch = { clusterId, epoch: 2, keyGeneration: 2, rootKey, signingSeed, previous, createdAt };
  const epochDocument = newDocuments.newEpochDocument(epoch, ports.randomness);
  const verifyKey = Buffer.from((payloadOf(epochDocument, 'epoch') as EpochPayload).verifyKey, 'base64');
  const credential = await resealed(keyring, first, verifyKey);
  const nodes = membership.nodes.map((node) => (node.nodeId === credential.nodeId ? memberOf(credential) : node));
  const wrap = async (number: number, key: Uint8Array, node: newDocuments.SlotRecipient): Promise<KeyringDocument> =>
    await newDocuments.newSlotDocument(clusterId, number, key, node, signer);
  const before = keyring.documents.find(({ path }) => path === `keyring/members/${membership.number}.json`)!;
  const members = {
    number: membership.number + 1,
    previous: createHash('sha256').update(before.bytes).digest('hex'),
    currentEpoch: 2,
    keyGeneration: 2,
    nodes,
    createdAt: createdAt.toISOString(),
  };
  return [
    epochDocument,
    newDocuments.newCredentialDocument(clusterId, credential, signer),
    await wrap(1, firstRootKey(keyring), credential),
    ...(await Promise.all(nodes.map((node) => wrap(2, rootKey, node)))),
    newDocuments.newMembersDocument(clusterId, members, signer),
  ];
}

async function resealed(
  keyring: OpenedKeyring,
  sealing: Sealing,
  clusterVerifyKey: Buffer,
): Promise<CredentialPayload> {
  const member = keyring.membership.nodes.find(({ nodeId }) => nodeId === keyring.nodeId)!;
  const cluster = { clusterId: keyring.clusterId, clusterVerifyKey, keyGeneration: 2 };
  return { ...(await newCredential({ ...ports, sealing }, cluster, member)), nodeId: member.nodeId };
}

function previousSigner(keyring: OpenedKeyring): { keyGeneration: number; privateKey: KeyObject; verifyKey: Buffer } {
  const document = keyring.documents.find(({ path }) => path === 'keyring/epochs/1/epoch.json')!;
  const privateKey = newDocuments.openSigningKey(
    keyring.epochKeys(1),
    keyring.clusterId,
    payloadOf(document, 'epoch') as EpochPayload,
  )!;
  return { keyGeneration: 1, privateKey, verifyKey: keyring.verifyKey };
}

/** The root key of epoch 1: known, because the cluster was made with fixed randomness. */
function firstRootKey(keyring: OpenedKeyring): Buffer {
  const source = fixedRandomness('repository-v1');
  source.bytes(10);
  const rootKey = source.bytes(32);
  const matches = deriveEpochKeys(rootKey, keyring.clusterId, 1).chunk.equals(keyring.epochKeys(1).chunk);
  if (!matches) throw new Error('newClusterKeyring draws its randomness in another order than this tool expects');
  return rootKey;
}

function payloadOf(document: KeyringDocument, type: 'epoch'): unknown {
  return parsePayload(parseDocument(document.bytes, type));
}
