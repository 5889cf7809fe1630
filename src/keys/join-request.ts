import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { type ClusterId, type CredentialId, isUuid, type NodeId } from '#model/identifiers.ts';
import type { Sealing } from '#ports/sealing.ts';
import { fingerprintOf, rawKeyBytes } from './asymmetric-keys.ts';
import { readEpochRecords } from './authentic-entries.ts';
import { joinRequestMacKey, newTokenHint, parseToken } from './join-token.ts';
import { type KeyringDocument, readEntries } from './keyring-entry.ts';
import { newCredential } from './new-cluster.ts';
import type { KeyPorts } from './next-generation.ts';
import { checkNewNode, type NewNode } from './node-name.ts';
import { encodeFields } from './pae.ts';
import { base64, type CredentialPayload, credentialSchema } from './payloads.ts';

/** The cluster that a joining host is about to trust. */
export interface ClusterKey {
  readonly clusterId: ClusterId;
  readonly keyGeneration: number;
  /** Raw Ed25519 public key, 32 bytes. */
  readonly clusterVerifyKey: Buffer;
}

export interface NewJoinRequest {
  readonly nodeId: NodeId;
  readonly credentialId: CredentialId;
  readonly content: JoinRequest;
  /** JSON; holds nothing secret. */
  readonly request: Buffer;
  /** HMAC-SHA-256 of `request`, 32 bytes. */
  readonly mac: Buffer;
}

const maxJoinRequestBytes = 128 * 1024;
const maxEvidenceBytes = 32 * 1024;
const formatVersion = 1;

const versionedSchema = z.object({ formatVersion: z.int() });

const joinRequestSchema = z.strictObject({
  formatVersion: z.literal(formatVersion),
  clusterId: z.string().refine(isUuid),
  keyGeneration: z.int().min(1).max(0xffff_ffff),
  verifyKey: base64(rawKeyBytes),
  node: z.strictObject(credentialSchema.shape),
  /** What the hardware says of itself; its layout is the sealing provider's. */
  evidence: base64(1, maxEvidenceBytes).optional(),
});

export type JoinRequest = z.infer<typeof joinRequestSchema>;

/**
 * Finds the key that a token's fingerprint names among documents that nobody vouches for yet. The epoch document that
 * introduces it is signed by it, cluster id and generation included. Throws `forged` when there is none.
 */
export function findClusterKey(documents: readonly KeyringDocument[], fingerprint: string): ClusterKey {
  const records = readEpochRecords(readEntries(documents, []), []);
  const found = records.find(({ generation }) => generation.fingerprint === fingerprint);
  if (found === undefined) {
    throw new EnclaveManagerError('forged', `No document here carries the cluster key ${fingerprint} of the token.`, {
      hint: `Check that ENCLAVE_MANAGER_DATABASE_URL names the database of the cluster that made the token. If it does, its keys have changed since. ${newTokenHint}`,
    });
  }
  const { keyGeneration, verifyKey } = found.generation;
  return { clusterId: found.entry.document.clusterId, keyGeneration, clusterVerifyKey: verifyKey };
}

/**
 * Makes a key pair for this host, seals it with the cluster's key, and asks to be admitted. The caller has provisioned the
 * sealing. Throws `usage` for a bad token or name, `forged` when the cluster key is not the one that the token names.
 */
export async function newJoinRequest(
  input: KeyPorts & ClusterKey & { readonly sealing: Sealing; readonly token: string },
  node: NewNode,
): Promise<NewJoinRequest> {
  checkNewNode(node);
  const { inviteId, secret, fingerprint } = parseToken(input.token);
  const { clusterId, keyGeneration, clusterVerifyKey } = input;
  if (fingerprintOf(clusterVerifyKey) !== fingerprint) {
    throw new EnclaveManagerError(
      'forged',
      `The token names the cluster key ${fingerprint}; what answered has ${fingerprintOf(clusterVerifyKey)}.`,
      {
        hint: `Check that ENCLAVE_MANAGER_DATABASE_URL names the database of the cluster that made the token. If it does, its keys have changed since. ${newTokenHint}`,
      },
    );
  }
  const credential = await newCredential(input, { clusterId, keyGeneration, clusterVerifyKey }, node);
  const verifyKey = clusterVerifyKey.toString('base64');
  const sealed = Buffer.from(credential.sealedCredential, 'base64');
  const evidence = await input.sealing.evidence?.collect(sealed, evidenceBinding(inviteId, clusterId, credential));
  const shown = evidence === undefined ? {} : { evidence: evidence.toString('base64') };
  const content: JoinRequest = { formatVersion, clusterId, keyGeneration, verifyKey, node: credential, ...shown };
  const request = Buffer.from(JSON.stringify(content));
  const mac = joinRequestMac(joinRequestMacKey(secret), request);
  secret.fill(0);
  return { nodeId: credential.nodeId, credentialId: credential.credentialId, content, request, mac };
}

/** What signed evidence is over: this host's new key, for this cluster, in answer to this invite, which counts once. */
export function evidenceBinding(inviteId: string, clusterId: ClusterId, node: CredentialPayload): Buffer {
  const { nodeId, credentialId, publicKey, sealedCredential } = node;
  const sealed = Buffer.from(sealedCredential, 'base64');
  const fields = [inviteId, clusterId, nodeId, credentialId, Buffer.from(publicKey, 'base64'), sealed];
  return createHash('sha256').update(encodeFields('enclave-manager/1/join-evidence', fields)).digest();
}

/** Reads a request whose MAC is right. Throws `not-permitted`, `damaged` or `version-incompatible`. */
export function readJoinRequest(request: Uint8Array, mac: Uint8Array, macKey: Uint8Array): JoinRequest {
  const expected = joinRequestMac(macKey, request.subarray(0, maxJoinRequestBytes));
  if (mac.length !== expected.length || !timingSafeEqual(mac, expected)) {
    throw new EnclaveManagerError('not-permitted', 'The join request was not made with the token of this invite.', {
      hint: newTokenHint,
    });
  }
  const value = parseJson(request);
  const version = versionedSchema.safeParse(value).data?.formatVersion;
  if (version !== undefined && version > formatVersion) {
    throw new EnclaveManagerError(
      'version-incompatible',
      `The join request has format version ${version}; this program knows ${formatVersion}.`,
      { hint: 'Upgrade the enrolled hosts first, then enrol new ones.' },
    );
  }
  const parsed = joinRequestSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const where = parsed.error.issues[0]?.path.join('.') ?? '';
  throw new EnclaveManagerError(
    'damaged',
    `The join request cannot be used: wrong or missing "${where.slice(0, 80)}".`,
    { hint: `Use the release here that the enrolled hosts have. ${newTokenHint}` },
  );
}

function joinRequestMac(macKey: Uint8Array, request: Uint8Array): Buffer {
  return createHmac('sha256', macKey).update(request).digest();
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch {
    return undefined;
  }
}
