import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { ClusterId } from '#model/identifiers.ts';
import type { HardwareChallenge, Sealing } from '#ports/sealing.ts';
import { decodeCredentialSecret } from './credential.ts';
import type { EpochKeys } from './epoch-keys.ts';
import type { JoinRequest } from './join-request.ts';
import { newTokenHint } from './join-token.ts';
import { sha256Hex } from './keyring-entry.ts';
import { encodeFields } from './pae.ts';
import { base64, type CredentialPayload } from './payloads.ts';
import { type SlotBinding, unwrapRootKey, wrapRootKey } from './slot.ts';

/** A stored join request, whose MAC was checked. */
export interface Challenged {
  readonly joinRequestId: string;
  readonly request: Uint8Array;
}

interface Challenger {
  readonly clusterId: ClusterId;
  readonly currentEpoch: EpochKeys;
}

const label = 'enclave-manager/1/join-challenge';
const secretBytes = 32;

const challengeSchema = z.strictObject({
  credentialBlob: base64(1, 4096),
  encryptedSecret: base64(1, 4096),
  encapsulatedKey: base64(secretBytes),
  ciphertext: base64(secretBytes + 16),
});

/**
 * Two secrets: one that only the claimed hardware gives out (`hide` sees to that), one that only the node's new private key opens.
 * Both follow from the epoch's keys and the request, so nothing secret is stored, any manager can check the answer, and it
 * counts for this request alone.
 */
export async function newJoinChallenge(
  keyring: Challenger,
  joining: Challenged,
  node: CredentialPayload,
  hide: (secret: Buffer) => HardwareChallenge,
): Promise<Buffer> {
  const secrets = challengeSecrets(keyring, joining);
  const { credentialBlob, encryptedSecret } = hide(secrets.subarray(0, secretBytes));
  const publicKey = Buffer.from(node.publicKey, 'base64');
  const wrapped = await wrapRootKey(
    secrets.subarray(secretBytes),
    publicKey,
    bindingOf(keyring.clusterId, node),
    label,
  );
  const parts = { credentialBlob, encryptedSecret, ...wrapped };
  return Buffer.from(
    JSON.stringify(Object.fromEntries(Object.entries(parts).map(([name, bytes]) => [name, bytes.toString('base64')]))),
  );
}

export function isRightAnswer(keyring: Challenger, joining: Challenged, answer: Uint8Array): boolean {
  const expected = answerTo(challengeSecrets(keyring, joining), joining);
  return answer.length === expected.length && timingSafeEqual(answer, expected);
}

/** Made by the joining host's hardware. Throws `not-permitted` for a challenge that is not for this host. */
export async function answerJoinChallenge(
  sealing: Sealing,
  joining: Challenged,
  { clusterId, node }: JoinRequest,
  challenge: Uint8Array,
): Promise<Buffer> {
  const parsed = challengeSchema.safeParse(parseJson(challenge));
  if (!parsed.success) throw refused('cannot be read');
  const parts = parsed.data;
  const bytesOf = (name: keyof typeof parts): Buffer => Buffer.from(parts[name], 'base64');
  const sealed = Buffer.from(node.sealedCredential, 'base64');
  const asked = { credentialBlob: bytesOf('credentialBlob'), encryptedSecret: bytesOf('encryptedSecret') };
  const first = await sealing.evidence?.answer?.(sealed, asked);
  const wrapped = { encapsulatedKey: bytesOf('encapsulatedKey'), ciphertext: bytesOf('ciphertext') };
  const second = await openWithOwnKey(sealing, sealed, wrapped, bindingOf(clusterId, node));
  if (first === undefined || second === undefined) throw refused('is for other hardware or another key');
  return answerTo(Buffer.concat([first, second]), joining);
}

async function openWithOwnKey(
  sealing: Sealing,
  sealed: Buffer,
  wrapped: { readonly encapsulatedKey: Buffer; readonly ciphertext: Buffer },
  binding: SlotBinding,
): Promise<Buffer | undefined> {
  const bytes = await sealing.unseal(sealed);
  const secret = bytes === undefined ? undefined : decodeCredentialSecret(bytes);
  bytes?.fill(0);
  if (secret === undefined) return undefined;
  try {
    return await unwrapRootKey(wrapped, secret.privateKey, binding, label);
  } finally {
    secret.privateKey.fill(0);
  }
}

function challengeSecrets({ currentEpoch }: Challenger, { joinRequestId, request }: Challenged): Buffer {
  const info = encodeFields(label, [joinRequestId, sha256Hex(request)]);
  return Buffer.from(hkdfSync('sha256', currentEpoch.column, '', info, 2 * secretBytes));
}

function answerTo(secrets: Buffer, { joinRequestId, request }: Challenged): Buffer {
  const text = encodeFields('enclave-manager/1/join-answer', [joinRequestId, sha256Hex(request)]);
  return createHmac('sha256', secrets).update(text).digest();
}

/** No epoch has the number 0. */
const bindingOf = (
  clusterId: ClusterId,
  { nodeId, credentialId, hardwareIdentity }: CredentialPayload,
): SlotBinding => ({
  clusterId,
  epoch: 0,
  nodeId,
  credentialId,
  hardwareIdentity,
});

function refused(what: string): EnclaveManagerError {
  return new EnclaveManagerError('not-permitted', `The challenge of the cluster ${what}.`, {
    hint: `${newTokenHint}. If it stays, somebody alters the table join_requests.`,
  });
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch {
    return undefined;
  }
}
