import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { ClusterId } from '#model/identifiers.ts';
import type { KeyHistory } from './generations.ts';
import { sha256Hex } from './keyring-entry.ts';
import {
  type DocumentType,
  isSignedBy,
  parseDocument,
  parsePayload,
  type UnverifiedDocument,
} from './signed-document.ts';

/** A document that the cluster wrote. */
export interface AuthenticDocument {
  readonly keyGeneration: number;
  readonly payload: unknown;
}

/**
 * Proves that the cluster wrote a document. One of the newest generation needs its signature; one of an earlier generation
 * also has to be in the accepted past, because hosts evicted since then know the earlier key. Throws `forged` or `damaged`.
 */
export function authenticate(
  clusterId: ClusterId,
  history: KeyHistory,
  type: DocumentType,
  bytes: Uint8Array,
): AuthenticDocument {
  const document = parseDocument(bytes, type);
  if (document.clusterId !== clusterId) {
    throw forged(type, `belongs to cluster ${document.clusterId}, not to ${clusterId}`);
  }
  const keyGeneration =
    type === 'epoch' ? epochGeneration(history, bytes) : signedGeneration(history, type, bytes, document);
  return { keyGeneration, payload: parsePayload(document) };
}

function signedGeneration(
  history: KeyHistory,
  type: DocumentType,
  bytes: Uint8Array,
  document: UnverifiedDocument,
): number {
  const [signature, ...others] = document.signatures;
  if (signature === undefined || others.length > 0) throw forged(type, 'carries more than one signature');
  const generation = history.generations.get(signature.keyGeneration);
  if (generation === undefined) {
    throw forged(type, `is signed by key generation ${signature.keyGeneration}, which the keyring does not lead to`);
  }
  if (!isSignedBy(document, generation.keyGeneration, generation.publicKey)) {
    throw forged(type, `carries a signature that the cluster key ${generation.fingerprint} did not make`);
  }
  const isNewest = generation === history.newest.generation;
  if (!isNewest && !history.acceptedPast.has(sha256Hex(bytes))) {
    throw forged(type, `is of key generation ${generation.keyGeneration} and was not accepted when that ended`);
  }
  return generation.keyGeneration;
}

/** Epoch documents were checked when the history was resolved. */
function epochGeneration(history: KeyHistory, bytes: Uint8Array): number {
  const digest = sha256Hex(bytes);
  for (const { entry, generation } of history.epochs.values()) {
    if (entry.digest === digest) return generation.keyGeneration;
  }
  throw forged('epoch', "is not part of the cluster key's history");
}

function forged(type: DocumentType, what: string): EnclaveManagerError {
  return new EnclaveManagerError('forged', `The ${type} document ${what}.`);
}
