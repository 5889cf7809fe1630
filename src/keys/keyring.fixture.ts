/** Clusters, hosts and attackers for tests. Everything is determined by names, so a failure repeats. */
import { createCipheriv, createDecipheriv, createHash } from 'node:crypto';
import type { Clock } from '#ports/clock.ts';
import type { Randomness } from '#ports/randomness.ts';
import type { Sealing } from '#ports/sealing.ts';
import { isEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { decodeCredentialSecret } from './credential.ts';
import { deriveEpochKeys } from './epoch-keys.ts';
import { admitNode, newInvite, newJoinRequest } from './enrolment.ts';
import { type KeyringDocument, newClusterKeyring, openKeyring, type OpenedKeyring } from './keyring.ts';
import { sha256Hex } from './keyring-entry.ts';
import { parseKeyringPath } from './keyring-paths.ts';
import { newEpochDocument, newMembersDocument, newSigner, newSlotDocument, openSigningKey } from './new-documents.ts';
import { credentialSchema, epochSchema, type MemberNode, slotSchema } from './payloads.ts';
import type { Signer } from './signed-document.ts';
import { unwrapRootKey } from './slot.ts';

const digest = (...parts: string[]): Buffer => createHash('sha256').update(parts.join('\0')).digest();

/** The same bytes for the same name, different ones at each call. */
export function fixedRandomness(name: string): Randomness {
  let calls = 0;
  return {
    bytes: (length) => {
      calls += 1;
      const blocks = Array.from({ length: Math.ceil(length / 32) }, (_, block) => digest(name, `${calls} ${block}`));
      return Buffer.concat(blocks).subarray(0, length);
    },
  };
}

export const fixedClock: Clock = {
  now: () => new Date('2026-11-22T00:00:00.000Z'),
  monotonicMs: () => 0,
  sleep: () => Promise.resolve(),
};

/** Hardware that exists in this process only: equal names are the same hardware. */
export function memorySealing(hardware: string): Sealing {
  const key = digest('hardware', hardware);
  const randomness = fixedRandomness(`sealing ${hardware}`);
  return {
    provider: 'software',
    provision: () => Promise.resolve(),
    hardwareIdentity: () => Promise.resolve(`software:${digest('identity', hardware).toString('hex', 0, 16)}`),
    seal: (secret) => {
      const nonce = randomness.bytes(12);
      const cipher = createCipheriv('aes-256-gcm', key, nonce);
      return Promise.resolve(Buffer.concat([nonce, cipher.update(secret), cipher.final(), cipher.getAuthTag()]));
    },
    unseal: (sealed) => {
      if (sealed.length < 28) return Promise.resolve(undefined);
      const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, 12));
      decipher.setAuthTag(sealed.subarray(-16));
      const secret = decipher.update(sealed.subarray(12, -16));
      try {
        decipher.final();
        return Promise.resolve(secret);
      } catch {
        return Promise.resolve(undefined);
      }
    },
  };
}

export interface TestHost {
  readonly name: string;
  readonly sealing: Sealing;
  readonly ports: { readonly clock: Clock; readonly randomness: Randomness; readonly sealing: Sealing };
}

export function newTestHost(name: string): TestHost {
  const sealing = memorySealing(name);
  return { name, sealing, ports: { clock: fixedClock, randomness: fixedRandomness(name), sealing } };
}

/** A cluster whose first node is named like its host; further names are admitted one after the other. */
export async function newTestCluster(...names: [string, ...string[]]): Promise<KeyringDocument[]> {
  const [first, ...others] = names.map(newTestHost);
  const { documents } = await newClusterKeyring(first!.ports, { name: first!.name, site: null });
  for (const host of others) {
    documents.push(...(await admit(await openKeyring(documents, first!.sealing), first!, host)));
  }
  return documents;
}

/** The documents that admit `host`. */
export async function admit(keyring: OpenedKeyring, by: TestHost, host: TestHost): Promise<KeyringDocument[]> {
  const { token, macKey } = newInvite(keyring, by.ports.randomness);
  const { clusterId, keyGeneration, verifyKey: clusterVerifyKey } = keyring;
  const cluster = { clusterId, keyGeneration, clusterVerifyKey };
  const join = await newJoinRequest({ ...host.ports, ...cluster, token }, { name: host.name, site: 'osaka' });
  return (await admitNode(keyring, { ...join, macKey }, by.ports)).documents;
}

/** All that a host can get out of its hardware: what an honest program hides and an attacker with root has. */
export interface HostSecrets {
  readonly clusterId: string;
  readonly privateKey: Buffer;
  readonly rootKeys: ReadonlyMap<number, Buffer>;
  readonly signers: ReadonlyMap<number, Signer & { readonly verifyKey: Buffer }>;
}

export async function secretsOf(documents: readonly KeyringDocument[], sealing: Sealing): Promise<HostSecrets> {
  const keyring = await openKeyring(documents, sealing);
  const { clusterId, nodeId, credentialId } = keyring;
  const credentialDocument = documents.find(({ path }) => path.endsWith(`nodes/${nodeId}/${credentialId}.json`))!;
  const { sealedCredential } = credentialSchema.parse(payloadOf(credentialDocument));
  const { privateKey } = decodeCredentialSecret((await sealing.unseal(Buffer.from(sealedCredential, 'base64')))!)!;
  const rootKeys = new Map<number, Buffer>();
  for (const document of keyring.documents.filter(({ path }) => path.includes(`/${nodeId}.${credentialId}`))) {
    const { encapsulatedKey, ciphertext, ...place } = slotSchema.parse(payloadOf(document));
    const wrapped = {
      encapsulatedKey: Buffer.from(encapsulatedKey, 'base64'),
      ciphertext: Buffer.from(ciphertext, 'base64'),
    };
    rootKeys.set(place.epoch, (await unwrapRootKey(wrapped, privateKey, { ...place, clusterId }))!);
  }
  const signers = new Map<number, Signer & { verifyKey: Buffer }>();
  for (const document of keyring.documents.filter(({ path }) => path.endsWith('/epoch.json'))) {
    const epoch = epochSchema.parse(payloadOf(document));
    const rootKey = rootKeys.get(epoch.epoch);
    if (rootKey === undefined) continue;
    signers.set(epoch.keyGeneration, {
      keyGeneration: epoch.keyGeneration,
      privateKey: openSigningKey(deriveEpochKeys(rootKey, clusterId, epoch.epoch), clusterId, epoch)!,
      verifyKey: Buffer.from(epoch.verifyKey, 'base64'),
    });
  }
  return { clusterId, privateKey, rootKeys, signers };
}

export interface NextGeneration {
  /** Makes another key for another label. */
  readonly label: string;
  readonly epoch: number;
  readonly keyGeneration: number;
  readonly members: readonly MemberNode[];
  readonly acceptedPast: readonly string[];
  /** Node ids that the epoch document names as left out. */
  readonly evicted?: readonly string[];
}

/** The documents of an eviction, signed with what `from` knows: epoch with accepted past, slots, next membership. */
export async function nextGeneration(
  documents: readonly KeyringDocument[],
  from: HostSecrets,
  next: NextGeneration,
): Promise<KeyringDocument[]> {
  const { clusterId } = from;
  const { epoch, keyGeneration, members, acceptedPast, evicted } = next;
  const [rootKey, signingSeed] = [digest('root key', next.label), digest('signing seed', next.label)];
  const previousSigner = from.signers.get(Math.max(...from.signers.keys()))!;
  const previous = { ...previousSigner, acceptedPast, ...(evicted === undefined ? {} : { evicted }) };
  const createdAt = fixedClock.now();
  const newEpoch = { clusterId, epoch, keyGeneration, rootKey, signingSeed, previous, createdAt };
  const signer = newSigner(keyGeneration, signingSeed);
  const last = highestMembers(documents);
  const membership = {
    number: last.number + 1,
    previous: sha256Hex(last.document.bytes),
    currentEpoch: epoch,
    keyGeneration,
    nodes: [...members],
    createdAt: createdAt.toISOString(),
  };
  const slots = members.map((member) => newSlotDocument(clusterId, epoch, rootKey, member, signer));
  return [
    newEpochDocument(newEpoch, fixedRandomness(next.label)),
    ...(await Promise.all(slots)),
    newMembersDocument(clusterId, membership, signer),
  ];
}

export const digestsOf = (documents: readonly KeyringDocument[]): string[] =>
  documents.map(({ bytes }) => sha256Hex(bytes));

function highestMembers(documents: readonly KeyringDocument[]): { number: number; document: KeyringDocument } {
  const found = documents.flatMap((document) => {
    const place = parseKeyringPath(document.path);
    return place?.type === 'members' ? [{ number: place.number, document }] : [];
  });
  return found.toSorted((a, b) => b.number - a.number)[0]!;
}

/** What a document says, whoever wrote it. */
export function payloadOf({ bytes }: Pick<KeyringDocument, 'bytes'>): unknown {
  const envelope = JSON.parse(bytes.toString()) as { payload: string };
  return JSON.parse(envelope.payload);
}

/** The code and message of an expected failure, to compare in one line. */
export async function failureOf(work: () => unknown): Promise<{ code: string; message: string; hint: string }> {
  try {
    await work();
  } catch (error) {
    if (isEnclaveManagerError(error)) return { code: error.code, message: error.message, hint: error.hint };
    throw error;
  }
  throw new Error('nothing failed');
}
