/** "Signed documents" and "Keyring" of docs/backup-format.md. Imports nothing from src, and must not. */
import {
  ed25519Verifies,
  hkdf,
  hpkeOpen,
  openSealed,
  pae,
  sha256,
  uuidBytes,
  x25519Public,
} from './independent-primitives.ts';

/** A payload whose author signed it; its fields are as the specification says. */
export type Json = Readonly<Record<string, unknown>>;

export interface SignedDocument {
  readonly path: string;
  readonly digest: string;
  readonly type: string;
  readonly clusterId: string;
  readonly payload: Json;
  readonly payloadText: string;
  readonly signatures: readonly { readonly keyGeneration: number; readonly signature: string }[];
}

export interface Generation {
  readonly number: number;
  /** Base64 of the raw key. */
  readonly key: string;
}

export interface Keyring {
  readonly clusterId: string;
  readonly fingerprint: string;
  readonly membership: Json;
  /** Root keys that this host opens, by epoch. */
  readonly rootKeys: ReadonlyMap<number, Buffer>;
  /** Whether the cluster wrote the document. */
  isAuthentic(document: SignedDocument): boolean;
}

const members = ['type', 'formatVersion', 'clusterId', 'payload', 'signatures'];

/** Throws for what is not spelled exactly as a signed document. */
export function readDocument(path: string, bytes: Buffer): SignedDocument {
  const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  const value = JSON.parse(text) as {
    formatVersion: number;
    type: string;
    clusterId: string;
    payload: string;
    signatures: SignedDocument['signatures'];
  };
  if (value.formatVersion > 1) throw new Error(`${path}: version not compatible`);
  if (JSON.stringify(value) !== text || Object.keys(value).join() !== members.join())
    throw new Error(`${path}: wrong spelling`);
  const { type, clusterId, payload: payloadText, signatures } = value;
  return {
    path,
    digest: sha256(bytes),
    type,
    clusterId,
    payloadText,
    payload: JSON.parse(payloadText) as Json,
    signatures,
  };
}

function isSigned(document: SignedDocument, generation: Generation): boolean {
  const found = document.signatures.find(({ keyGeneration }) => keyGeneration === generation.number);
  if (found === undefined) return false;
  const { type, clusterId, payloadText } = document;
  const message = pae('enclave-manager/1/signature', type, 1, clusterId, generation.number, payloadText);
  return ed25519Verifies(Buffer.from(generation.key, 'base64'), message, Buffer.from(found.signature, 'base64'));
}

interface OwnCredential {
  readonly document: SignedDocument;
  readonly privateKey: Buffer;
  readonly trusted: Generation;
}

/** Step 2 of "Trust". */
function unseal(document: SignedDocument, hostKey: Buffer): OwnCredential | undefined {
  const { sealingProvider, sealedCredential, publicKey } = document.payload as Readonly<Record<string, string>>;
  if (sealingProvider !== 'software') return undefined;
  const sealed = Buffer.from(sealedCredential ?? '', 'base64');
  const key = hkdf(hostKey, Buffer.alloc(0), 'enclave-manager/1/software-sealing/seal', 32);
  const secret = sealed[0] === 1 ? openSealed(key, sealed.subarray(0, 1), sealed.subarray(1)) : undefined;
  if (secret === undefined || secret.length !== 85 || secret[0] !== 1) return undefined;
  const privateKey = secret.subarray(1, 33);
  if (x25519Public(privateKey).toString('base64') !== publicKey) return undefined;
  if (!secret.subarray(33, 49).equals(uuidBytes(document.clusterId))) return undefined;
  return {
    document,
    privateKey,
    trusted: { number: secret.readUInt32BE(81), key: secret.subarray(49, 81).toString('base64') },
  };
}

const introduced = ({ payload }: SignedDocument): Generation => ({
  number: payload['keyGeneration'] as number,
  key: payload['verifyKey'] as string,
});

function previous({ payload }: SignedDocument): Generation | undefined {
  const number = payload['previousKeyGeneration'] as number | null;
  return number === null ? undefined : { number, key: payload['previousVerifyKey'] as string };
}

const same = (one: Generation, other: Generation | undefined): boolean =>
  one.number === other?.number && one.key === other.key;

/** Step 3. */
function isConsistentEpoch(document: SignedDocument): boolean {
  const signers = [introduced(document), previous(document)].filter((generation) => generation !== undefined);
  return (
    document.path === `keyring/epochs/${String(document.payload['epoch'])}/epoch.json` &&
    document.signatures.length === signers.length &&
    signers.every((generation) => isSigned(document, generation))
  );
}

/** Step 4. */
function newestEpoch(trusted: Generation, epochs: readonly SignedDocument[]): SignedDocument {
  let [newest, ...others] = epochs.filter((epoch) => same(introduced(epoch), trusted));
  for (let from = trusted; ; from = introduced(newest!)) {
    const successors = epochs.filter((epoch) => same(from, previous(epoch)));
    if (successors.length > 1) throw new Error(`generation ${from.number} has two successors: a fork`);
    if (successors.length === 0) break;
    [newest, others] = [successors[0], []];
  }
  if (newest === undefined || others.length > 0) throw new Error('no single epoch document introduces the cluster key');
  return newest;
}

/** Step 5: generations and epoch documents from the newest back. */
function history(
  newest: SignedDocument,
  epochs: readonly SignedDocument[],
): { generations: Generation[]; epochs: SignedDocument[] } {
  const acceptedPast = new Set<string>((newest.payload['acceptedPast'] as string[] | null) ?? []);
  const generations = [introduced(newest)];
  const accepted = [newest];
  for (let later: SignedDocument | undefined = newest; later !== undefined;) {
    const before = previous(later);
    if (before === undefined) break;
    generations.push(before);
    const number = later.payload['epoch'] as number;
    later = epochs.find(
      (epoch) =>
        same(before, introduced(epoch)) &&
        acceptedPast.has(epoch.digest) &&
        (epoch.payload['epoch'] as number) < number,
    );
    if (later !== undefined) accepted.push(later);
  }
  return { generations, epochs: accepted };
}

/** "Trust", steps 1 to 8. Throws where nothing opens or two histories contradict each other. */
export function openKeyring(documents: readonly SignedDocument[], hostKey: Buffer): Keyring {
  const own = documents
    .filter(({ type }) => type === 'credential')
    .flatMap((document) => unseal(document, hostKey) ?? []);
  if (own.length === 0) throw new Error('no key on this host opens it');
  const { clusterId } = own[0]!.document;
  const highest = Math.max(...own.map(({ trusted }) => trusted.number));
  const { trusted } = own.find((credential) => credential.trusted.number === highest)!;
  const consistent = documents.filter(
    (document) => document.type === 'epoch' && document.clusterId === clusterId && isConsistentEpoch(document),
  );
  const newest = newestEpoch(trusted, consistent);
  const { generations, epochs } = history(newest, consistent);
  const acceptedPast = new Set<string>((newest.payload['acceptedPast'] as string[] | null) ?? []);
  const isAuthentic = (document: SignedDocument): boolean => {
    const [signature] = document.signatures;
    const generation = generations.find(({ number }) => number === signature?.keyGeneration);
    return (
      document.clusterId === clusterId &&
      document.signatures.length === 1 &&
      generation !== undefined &&
      isSigned(document, generation) &&
      (same(generation, introduced(newest)) || acceptedPast.has(document.digest))
    );
  };
  const authentic = documents.filter((document) => document.type !== 'epoch' && isAuthentic(document));
  return {
    clusterId,
    fingerprint: `sha256:${Buffer.from(sha256(Buffer.from(introduced(newest).key, 'base64')), 'hex').toString('base64url')}`,
    membership: newestMembership(authentic, epochs),
    rootKeys: openSlots(clusterId, authentic, own, epochs),
    isAuthentic,
  };
}

/** Step 7. */
function newestMembership(authentic: readonly SignedDocument[], epochs: readonly SignedDocument[]): Json {
  const newestEpochNumber = Math.max(...epochs.map(({ payload }) => payload['epoch'] as number));
  const byNumber = new Map<number, SignedDocument>();
  const inOrder = authentic
    .filter(({ type }) => type === 'members')
    .map((document) => ({ number: document.payload['number'] as number, document }))
    .toSorted((one, other) => one.number - other.number);
  let last = 0;
  for (const { number, document } of inOrder) {
    const named = epochs
      .map(({ payload }) => payload['membership'] as { number: number; digest: string } | undefined)
      .find((name) => name?.number === number);
    if (named !== undefined && named.digest !== document.digest) continue;
    if ((document.payload['currentEpoch'] as number) > newestEpochNumber || number - last > 65_536) continue;
    last = number;
    byNumber.set(number, document);
  }
  for (const [number, { path, payload }] of byNumber) {
    const before = byNumber.get(number - 1);
    if (path !== `keyring/members/${number}.json`) throw new Error(`${path} is membership ${number}`);
    if (before !== undefined && before.digest !== payload['previous'])
      throw new Error(`membership ${number} does not follow`);
  }
  const highest = byNumber.get(Math.max(...byNumber.keys()));
  if (highest === undefined) throw new Error('no membership');
  const evicted = new Set(epochs.flatMap(({ payload }) => (payload['evicted'] as string[] | undefined) ?? []));
  const nodes = highest.payload['nodes'] as readonly { readonly nodeId: string }[];
  return { ...highest.payload, nodes: nodes.filter(({ nodeId }) => !evicted.has(nodeId)) };
}

/** Step 8. */
function openSlots(
  clusterId: string,
  authentic: readonly SignedDocument[],
  own: readonly OwnCredential[],
  epochs: readonly SignedDocument[],
): Map<number, Buffer> {
  const rootKeys = new Map<number, Buffer>();
  for (const { path, payload } of authentic.filter(({ type }) => type === 'slot')) {
    const { epoch, nodeId, credentialId, hardwareIdentity, encapsulatedKey, ciphertext } = payload as {
      epoch: number;
      [name: string]: string | number;
    };
    const credential = own.find(
      ({ document }) => document.payload['credentialId'] === credentialId && document.payload['nodeId'] === nodeId,
    );
    const epochDocument = epochs.find((document) => document.payload['epoch'] === epoch);
    if (credential === undefined || epochDocument === undefined) continue;
    if (path !== `keyring/epochs/${epoch}/${nodeId}.${credentialId}.json`) continue;
    const info = pae('enclave-manager/1/slot', clusterId, epoch, nodeId!, credentialId!, hardwareIdentity!);
    const bytes = (text: string | number | undefined): Buffer => Buffer.from(String(text), 'base64');
    const rootKey = hpkeOpen(credential.privateKey, bytes(encapsulatedKey), info, bytes(ciphertext));
    if (rootKey === undefined) continue;
    const commitment = hkdf(rootKey, uuidBytes(clusterId), `enclave-manager/1/commitment/${epoch}`, 32).toString('hex');
    if (commitment === epochDocument.payload['rootKeyCommitment']) rootKeys.set(epoch, rootKey);
  }
  return rootKeys;
}
