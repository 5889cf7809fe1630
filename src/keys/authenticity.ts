import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { ClusterId } from '#model/identifiers.ts';
import type { Generation, KeyHistory } from './generations.ts';
import { sha256Hex } from './keyring-entry.ts';
import {
  type DocumentType,
  isSignedBy,
  isSignedByAside,
  parseDocument,
  parseNewerDocument,
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
  const document = parseOwn(clusterId, type, bytes);
  if (type === 'epoch') return { keyGeneration: epochGeneration(history, bytes), payload: parsePayload(document) };
  const generation = claimedGeneration(history, type, document);
  const isSigned = isSignedBy(document, generation.keyGeneration, generation.publicKey);
  requireAccepted(history, type, bytes, generation, isSigned);
  return { keyGeneration: generation.keyGeneration, payload: parsePayload(document) };
}

/** The payload of one of many documents, proved likewise while this thread does something else. */
export async function authenticateAside(
  clusterId: ClusterId,
  history: KeyHistory,
  type: Exclude<DocumentType, 'epoch'>,
  bytes: Uint8Array,
): Promise<unknown> {
  const document = parseOwn(clusterId, type, bytes);
  const generation = claimedGeneration(history, type, document);
  const isSigned = await isSignedByAside(document, generation.keyGeneration, generation.publicKey);
  requireAccepted(history, type, bytes, generation, isSigned);
  return parsePayload(document);
}

/**
 * Whether the cluster signed a document with the key of an earlier generation and does not count it any more: it was not
 * there when that generation ended, or a host that was evicted then made it later. Nothing can tell which.
 */
export function isDisowned(clusterId: ClusterId, history: KeyHistory, type: DocumentType, bytes: Uint8Array): boolean {
  const document = parseOwn(clusterId, type, bytes);
  const generation = claimedGeneration(history, type, document);
  if (generation === history.newest.generation || history.acceptedPast.has(sha256Hex(bytes))) return false;
  return isSignedBy(document, generation.keyGeneration, generation.publicKey);
}

/**
 * Whether a document that this program is too old to read is the cluster's all the same. Anybody can write a higher number into
 * a file; only such a document is worth stopping for.
 */
export function isNewerOfCluster(
  clusterId: ClusterId,
  history: KeyHistory,
  type: DocumentType,
  bytes: Uint8Array,
): boolean {
  const document = parseNewerDocument(bytes, type);
  const [signature] = document?.signatures ?? [];
  const generation = signature && history.generations.get(signature.keyGeneration);
  if (document?.clusterId !== clusterId || generation === undefined) return false;
  const counts = generation === history.newest.generation || history.acceptedPast.has(sha256Hex(bytes));
  return counts && isSignedBy(document, generation.keyGeneration, generation.publicKey);
}

function parseOwn(clusterId: ClusterId, type: DocumentType, bytes: Uint8Array): UnverifiedDocument {
  const document = parseDocument(bytes, type);
  if (document.clusterId === clusterId) return document;
  throw forged(type, `belongs to cluster ${document.clusterId}, not to ${clusterId}`);
}

function claimedGeneration(history: KeyHistory, type: DocumentType, document: UnverifiedDocument): Generation {
  const [signature, ...others] = document.signatures;
  if (signature === undefined || others.length > 0) throw forged(type, 'carries more than one signature');
  const generation = history.generations.get(signature.keyGeneration);
  if (generation === undefined) {
    throw forged(type, `is signed by key generation ${signature.keyGeneration}, which the keyring does not lead to`);
  }
  return generation;
}

function requireAccepted(
  history: KeyHistory,
  type: DocumentType,
  bytes: Uint8Array,
  generation: Generation,
  isSigned: boolean,
): void {
  if (!isSigned) {
    throw forged(type, `carries a signature that the cluster key ${generation.fingerprint} did not make`);
  }
  const isNewest = generation === history.newest.generation;
  if (!isNewest && !history.acceptedPast.has(sha256Hex(bytes))) {
    throw forged(type, `is of key generation ${generation.keyGeneration} and was not accepted when that ended`);
  }
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
