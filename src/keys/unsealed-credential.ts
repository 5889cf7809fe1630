import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { Sealing } from '#ports/sealing.ts';
import { rawPublicKey } from './asymmetric-keys.ts';
import { type CredentialSecret, decodeCredentialSecret } from './credential.ts';
import { forkError, type Generation, newGeneration } from './generations.ts';
import { type KeyringEntry, reasonOf, type RejectedDocument } from './keyring-entry.ts';
import { type CredentialPayload, credentialSchema } from './payloads.ts';
import { parsePayload } from './signed-document.ts';

/** A credential document whose secret this host's hardware opened. The document itself is not proved by that. */
export interface UnsealedCredential {
  readonly entry: KeyringEntry;
  readonly payload: CredentialPayload;
  readonly secret: CredentialSecret;
}

interface CredentialRecord {
  readonly entry: KeyringEntry;
  readonly payload: CredentialPayload;
}

/** Credential documents whose ids are those of their path. Nothing about their author is known. */
export function readCredentials(
  entries: readonly KeyringEntry[],
  rejected: RejectedDocument[],
): readonly CredentialRecord[] {
  return entries.flatMap((entry) => {
    if (entry.place.type !== 'credential') return [];
    try {
      return [{ entry, payload: credentialPayload(entry) }];
    } catch (error) {
      rejected.push({ path: entry.path, reason: reasonOf(error) });
      return [];
    }
  });
}

function credentialPayload(entry: KeyringEntry): CredentialPayload {
  const parsed = credentialSchema.safeParse(parsePayload(entry.document));
  if (!parsed.success) {
    throw new EnclaveManagerError('damaged', `${entry.path} does not have the payload of a credential.`);
  }
  const { place } = entry;
  const { nodeId, credentialId } = parsed.data;
  if (place.type !== 'credential' || place.nodeId !== nodeId || place.credentialId !== credentialId) {
    throw new EnclaveManagerError('forged', `${entry.path} holds the credential ${credentialId} of node ${nodeId}.`);
  }
  return parsed.data;
}

/** Tries this host's hardware on every credential of its provider. */
export async function unsealCredentials(
  credentials: readonly CredentialRecord[],
  sealing: Sealing,
  rejected: RejectedDocument[],
): Promise<readonly UnsealedCredential[]> {
  const unsealed: UnsealedCredential[] = [];
  for (const { entry, payload } of credentials) {
    if (payload.sealingProvider !== sealing.provider) continue;
    const bytes = await sealing.unseal(Buffer.from(payload.sealedCredential, 'base64'));
    if (bytes === undefined) continue;
    const secret = decodeCredentialSecret(bytes);
    bytes.fill(0);
    if (secret !== undefined && belongsTogether(entry, payload, secret)) {
      unsealed.push({ entry, payload, secret });
    } else {
      secret?.privateKey.fill(0);
      rejected.push({ path: entry.path, reason: 'what is sealed in it belongs to another document' });
    }
  }
  return unsealed;
}

function belongsTogether(entry: KeyringEntry, payload: CredentialPayload, secret: CredentialSecret): boolean {
  const matches = rawPublicKey('x25519', secret.privateKey).toString('base64') === payload.publicKey;
  return matches && secret.clusterId === entry.document.clusterId;
}

/** The cluster key that this host's hardware vouches for: of the newest generation, where it holds several. */
export function trustedGeneration(unsealed: readonly UnsealedCredential[], clusterKey: string | undefined): Generation {
  const clusters = new Set(unsealed.map(({ secret }) => secret.clusterId));
  if (clusters.size > 1) {
    throw new EnclaveManagerError(
      'repository-foreign',
      `This host's hardware opens credentials of several clusters here: ${[...clusters].toSorted().join(' and ')}.`,
      { hint: 'Keep each cluster in a repository of its own; move the documents of the other one away from keyring/.' },
    );
  }
  const newest = Math.max(...unsealed.map(({ secret }) => secret.keyGeneration));
  const candidates = unsealed
    .filter(({ secret }) => secret.keyGeneration === newest)
    .map(({ secret }) => newGeneration(newest, secret.clusterVerifyKey));
  const fingerprints = new Set(candidates.map(({ fingerprint }) => fingerprint));
  const named =
    fingerprints.size > 1 ? candidates.find(({ fingerprint }) => fingerprint === clusterKey) : candidates[0];
  if (named !== undefined) return named;
  throw forkError(`This host holds different cluster keys of generation ${newest}`, [...fingerprints]);
}

const maxNamesShown = 10;

/** Nothing here opens: says for whom the keyring is. The names come from documents that nobody could verify. */
export async function noCredentialError(
  credentials: readonly CredentialRecord[],
  rejected: readonly RejectedDocument[],
  sealing: Sealing,
): Promise<EnclaveManagerError> {
  if (credentials.length === 0) {
    const reason = rejected.find(({ path }) => path.startsWith('keyring/nodes/'))?.reason;
    const because = reason === undefined ? '' : ` The first document set aside: ${reason}`;
    return new EnclaveManagerError('damaged', `The keyring holds no readable credential document.${because}`, {
      hint: 'Put keyring/ back from a copy; every manifest carries the keyring documents of its time.',
    });
  }
  const clusters = [...new Set(credentials.map(({ entry }) => entry.document.clusterId))];
  const names = [...new Set(credentials.map(({ payload }) => payload.name))].toSorted();
  const more = names.length > maxNamesShown ? ` and ${names.length - maxNamesShown} more` : '';
  const { because, hint } = await explain(credentials, sealing);
  return new EnclaveManagerError(
    'no-key',
    `No key on this host opens the keyring of cluster ${clusters.slice(0, 3).join(', ')}${because}. ` +
      `Enrolled hosts, by unverified documents: ${names.slice(0, maxNamesShown).join(', ')}${more}.`,
    { hint },
  );
}

/** What the hardware knows about the credential of this host, or about the only one there is. */
async function explain(
  credentials: readonly CredentialRecord[],
  sealing: Sealing,
): Promise<{ readonly because: string; readonly hint: string }> {
  const candidates = credentials.filter(({ payload }) => payload.sealingProvider === sealing.provider);
  if (sealing.explain !== undefined && candidates.length > 0) {
    const identity = await sealing.hardwareIdentity();
    const own = candidates.findLast(({ payload }) => payload.hardwareIdentity === identity);
    const candidate = own ?? (candidates.length === 1 ? candidates[0] : undefined);
    const sealed = Buffer.from(candidate?.payload.sealedCredential ?? '', 'base64');
    const refusal = await sealing.explain(sealed);
    if (refusal !== undefined) return { because: `: ${refusal.reason}`, hint: refusal.hint };
  }
  return {
    because: '',
    hint: 'Run this on one of those hosts, or enrol this host from one of them: node invite, then node enrol.',
  };
}
