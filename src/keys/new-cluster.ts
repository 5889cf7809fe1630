import { type NodeId, uuidv7 } from '#model/identifiers.ts';
import type { Sealing } from '#ports/sealing.ts';
import { rawKeyBytes, rawPublicKey } from './asymmetric-keys.ts';
import { encodeCredentialSecret } from './credential.ts';
import { rootKeyBytes } from './epoch-keys.ts';
import type { KeyringDocument } from './keyring-entry.ts';
import {
  newCredentialDocument,
  newEpochDocument,
  newMembersDocument,
  newSigner,
  newSlotDocument,
} from './new-documents.ts';
import type { KeyPorts } from './next-generation.ts';
import { checkNewNode, type NewNode } from './node-name.ts';
import type { CredentialPayload, MemberNode } from './payloads.ts';

/**
 * The keyring of a new cluster with this host as its only node: epoch 1, key generation 1, membership 1, one slot, one
 * credential. The caller has provisioned the sealing. Throws `usage` for a bad name, and what `sealing` throws.
 */
export async function newClusterKeyring(
  ports: KeyPorts & { readonly sealing: Sealing },
  node: NewNode,
): Promise<{ documents: KeyringDocument[] }> {
  checkNewNode(node);
  const { clock, randomness } = ports;
  const createdAt = clock.now();
  const clusterId = uuidv7(createdAt, randomness.bytes(10));
  const rootKey = randomness.bytes(rootKeyBytes);
  const signingSeed = randomness.bytes(rawKeyBytes);
  const signer = newSigner(1, signingSeed);
  const cluster = { clusterId, keyGeneration: 1, clusterVerifyKey: rawPublicKey('ed25519', signingSeed) };
  const credential = await newCredential(ports, cluster, node);
  const member = memberOf(credential);
  const members = {
    number: 1,
    previous: null,
    currentEpoch: 1,
    keyGeneration: 1,
    nodes: [member],
    createdAt: createdAt.toISOString(),
  };
  const newEpoch = { clusterId, epoch: 1, keyGeneration: 1, rootKey, signingSeed, previous: null, createdAt };
  const documents = [
    newCredentialDocument(clusterId, credential, signer),
    newMembersDocument(clusterId, members, signer),
    newEpochDocument(newEpoch, randomness),
    await newSlotDocument(clusterId, 1, rootKey, member, signer),
  ];
  rootKey.fill(0);
  signingSeed.fill(0);
  return { documents };
}

/** A new key pair for this host, sealed by its hardware together with the cluster's key; `nodeId` is that of a node which has one already. */
export async function newCredential(
  { clock, randomness, sealing }: KeyPorts & { readonly sealing: Sealing },
  cluster: { readonly clusterId: string; readonly clusterVerifyKey: Buffer; readonly keyGeneration: number },
  node: NewNode & { readonly nodeId?: NodeId },
): Promise<CredentialPayload> {
  const now = clock.now();
  const privateKey = randomness.bytes(rawKeyBytes);
  const secret = encodeCredentialSecret({ ...cluster, privateKey });
  try {
    return {
      nodeId: node.nodeId ?? uuidv7(now, randomness.bytes(10)),
      name: node.name,
      site: node.site,
      credentialId: uuidv7(now, randomness.bytes(10)),
      hardwareIdentity: await sealing.hardwareIdentity(),
      sealingProvider: sealing.provider,
      grade: 'unattested',
      publicKey: rawPublicKey('x25519', privateKey).toString('base64'),
      sealedCredential: (await sealing.seal(secret)).toString('base64'),
      createdAt: now.toISOString(),
    };
  } finally {
    privateKey.fill(0);
    secret.fill(0);
  }
}

/** The part of a credential that the membership repeats. */
export function memberOf({ sealedCredential: _, createdAt: __, ...member }: CredentialPayload): MemberNode {
  return member;
}
