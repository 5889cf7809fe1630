import type { NodeId } from '#model/identifiers.ts';
import type { Clock } from '#ports/clock.ts';
import type { Randomness } from '#ports/randomness.ts';
import { rawKeyBytes } from './asymmetric-keys.ts';
import { rootKeyBytes } from './epoch-keys.ts';
import type { KeyringDocument } from './keyring-entry.ts';
import { newEpochDocument, newSigner, newSlotDocument } from './new-documents.ts';
import type { MembershipName } from './membership.ts';
import type { MemberNode } from './payloads.ts';
import type { Signer } from './signed-document.ts';

export interface KeyPorts {
  readonly clock: Clock;
  readonly randomness: Randomness;
}

export interface NextGeneration {
  /** Higher than every authentic one, with nothing stored under it. */
  readonly epoch: number;
  /** Members that get no slot. */
  readonly evicted: readonly NodeId[];
  /** Hex SHA-256 of every authentic document until now. */
  readonly acceptedPast: readonly string[];
}

/** Generation, signing key and members before the change. */
type Before = Signer & {
  readonly clusterId: string;
  readonly verifyKey: Buffer;
  readonly members: readonly MemberNode[];
  readonly membership: MembershipName;
};

/**
 * A new signing key and a new root key. The private half of the signing key is encrypted under the new epoch, so nobody
 * who was left out can sign, and the slots come before the epoch document: once that exists, every member can open it.
 */
export async function newGenerationDocuments(
  before: Before,
  { epoch, evicted, acceptedPast }: NextGeneration,
  { clock, randomness }: KeyPorts,
): Promise<KeyringDocument[]> {
  const { clusterId, verifyKey, privateKey, members } = before;
  const { number, digest } = before.membership;
  const keyGeneration = before.keyGeneration + 1;
  const rootKey = randomness.bytes(rootKeyBytes);
  const signingSeed = randomness.bytes(rawKeyBytes);
  try {
    const signer = newSigner(keyGeneration, signingSeed);
    const membership = { number, digest };
    const previous = { keyGeneration: before.keyGeneration, privateKey, verifyKey, acceptedPast, evicted, membership };
    const createdAt = clock.now();
    const slots: KeyringDocument[] = [];
    for (const member of members.filter(({ nodeId }) => !evicted.includes(nodeId))) {
      slots.push(await newSlotDocument(clusterId, epoch, rootKey, member, signer));
    }
    const document = newEpochDocument(
      { clusterId, epoch, keyGeneration, rootKey, signingSeed, previous, createdAt },
      randomness,
    );
    return [...slots, document];
  } finally {
    rootKey.fill(0);
    signingSeed.fill(0);
  }
}
