import type { KeyObject } from 'node:crypto';
import type { ClusterId, NodeId } from '#model/identifiers.ts';
import type { Randomness } from '#ports/randomness.ts';
import { nonceBytes, openBytes, sealBytes } from './aead.ts';
import { privateKey, rawPublicKey } from './asymmetric-keys.ts';
import { deriveEpochKeys, type EpochKeys, rootKeyCommitment } from './epoch-keys.ts';
import type { KeyringDocument } from './keyring-entry.ts';
import type { MembershipName } from './membership.ts';
import { keyringPath } from './keyring-paths.ts';
import { encodeFields } from './pae.ts';
import type { CredentialPayload, EpochPayload, MemberNode, MembersPayload, SlotPayload } from './payloads.ts';
import { signDocument, type Signer } from './signed-document.ts';
import { wrapRootKey } from './slot.ts';

/** What a new epoch consists of. `signingSeed` is the Ed25519 seed of `keyGeneration`, 32 bytes. */
export interface NewEpoch {
  readonly clusterId: ClusterId;
  readonly epoch: number;
  readonly keyGeneration: number;
  readonly rootKey: Uint8Array;
  readonly signingSeed: Uint8Array;
  /** The generation before, with the digests of all that is authentic until now; `null` for the first. */
  readonly previous:
    | (Signer & {
        readonly verifyKey: Buffer;
        readonly acceptedPast: readonly string[];
        /** Nodes that the new generation leaves out. */
        readonly evicted?: readonly NodeId[];
        /** The one in force until now. */
        readonly membership?: MembershipName;
      })
    | null;
  readonly createdAt: Date;
}

export function newEpochDocument(epoch: NewEpoch, randomness: Randomness): KeyringDocument {
  const { clusterId, keyGeneration, rootKey, signingSeed, previous } = epoch;
  const keys = deriveEpochKeys(rootKey, clusterId, epoch.epoch);
  const associated = signingKeyPlace(clusterId, epoch.epoch, keyGeneration);
  const payload: EpochPayload = {
    epoch: epoch.epoch,
    keyGeneration,
    verifyKey: rawPublicKey('ed25519', signingSeed).toString('base64'),
    encryptedSigningKey: sealBytes(keys.signingKey, randomness.bytes(nonceBytes), associated, signingSeed).toString(
      'base64',
    ),
    rootKeyCommitment: rootKeyCommitment(rootKey, clusterId, epoch.epoch),
    previousKeyGeneration: previous?.keyGeneration ?? null,
    previousVerifyKey: previous?.verifyKey.toString('base64') ?? null,
    acceptedPast: previous === null ? null : previous.acceptedPast.toSorted(),
    ...(previous?.evicted === undefined ? {} : { evicted: [...previous.evicted] }),
    ...(previous?.membership === undefined ? {} : { membership: { ...previous.membership } }),
    createdAt: epoch.createdAt.toISOString(),
  };
  const signers = [...(previous === null ? [] : [previous]), newSigner(keyGeneration, signingSeed)];
  return {
    path: keyringPath({ type: 'epoch', epoch: epoch.epoch }),
    bytes: signDocument('epoch', clusterId, payload, signers),
  };
}

/** The private half of a generation's signing key; `undefined` when these are not the keys of its epoch. */
export function openSigningKey(keys: EpochKeys, clusterId: ClusterId, payload: EpochPayload): KeyObject | undefined {
  const associated = signingKeyPlace(clusterId, payload.epoch, payload.keyGeneration);
  const seed = openBytes(keys.signingKey, associated, Buffer.from(payload.encryptedSigningKey, 'base64'));
  if (seed === undefined) return undefined;
  const matches = rawPublicKey('ed25519', seed).toString('base64') === payload.verifyKey;
  const key = matches ? privateKey('ed25519', seed) : undefined;
  seed.fill(0);
  return key;
}

export function newSigner(keyGeneration: number, signingSeed: Uint8Array): Signer {
  return { keyGeneration, privateKey: privateKey('ed25519', signingSeed) };
}

/** Wraps a root key to a node and signs the slot. */
export async function newSlotDocument(
  clusterId: ClusterId,
  epoch: number,
  rootKey: Uint8Array,
  node: SlotRecipient,
  signer: Signer,
): Promise<KeyringDocument> {
  const { nodeId, credentialId, hardwareIdentity } = node;
  const binding = { clusterId, epoch, nodeId, credentialId, hardwareIdentity };
  const wrapped = await wrapRootKey(rootKey, Buffer.from(node.publicKey, 'base64'), binding);
  const payload: SlotPayload = {
    epoch,
    nodeId,
    credentialId,
    hardwareIdentity,
    encapsulatedKey: wrapped.encapsulatedKey.toString('base64'),
    ciphertext: wrapped.ciphertext.toString('base64'),
  };
  return {
    path: keyringPath({ type: 'slot', epoch, nodeId, credentialId }),
    bytes: signDocument('slot', clusterId, payload, [signer]),
  };
}

export type SlotRecipient = Pick<MemberNode, 'nodeId' | 'credentialId' | 'hardwareIdentity' | 'publicKey'>;

export function newCredentialDocument(
  clusterId: ClusterId,
  payload: CredentialPayload,
  signer: Signer,
): KeyringDocument {
  const { nodeId, credentialId } = payload;
  return {
    path: keyringPath({ type: 'credential', nodeId, credentialId }),
    bytes: signDocument('credential', clusterId, payload, [signer]),
  };
}

export function newMembersDocument(clusterId: ClusterId, payload: MembersPayload, signer: Signer): KeyringDocument {
  return {
    path: keyringPath({ type: 'members', number: payload.number }),
    bytes: signDocument('members', clusterId, payload, [signer]),
  };
}

function signingKeyPlace(clusterId: ClusterId, epoch: number, keyGeneration: number): Buffer {
  return encodeFields('enclave-manager/1/signing-key', [clusterId, epoch, keyGeneration]);
}
