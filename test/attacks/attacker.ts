import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { rawPublicKey } from '#keys/asymmetric-keys.ts';
import { encodeCredentialSecret } from '#keys/credential.ts';
import type { KeyringDocument } from '#keys/keyring.ts';
import {
  newCredentialDocument,
  newEpochDocument,
  newMembersDocument,
  newSigner,
  newSlotDocument,
} from '#keys/new-documents.ts';
import type { CredentialPayload, MembersPayload } from '#keys/payloads.ts';
import { signDocument, type DocumentType } from '#keys/signed-document.ts';
import { createSoftwareSealing } from '#adapters/software/software-sealing.ts';
import { systemRandomness } from '#adapters/system/randomness.ts';
import { uuidv7 } from '#model/identifiers.ts';
import { parseKeyringPath } from '#keys/keyring-paths.ts';
import { temporaryDirectory } from '../fixtures/host.ts';
import type { Stage } from './stage.ts';

export interface SignedFile {
  readonly type: DocumentType;
  readonly formatVersion: number;
  readonly clusterId: string;
  readonly payload: string;
  readonly signatures: readonly { readonly keyGeneration: number; readonly signature: string }[];
}

export const parseFile = (bytes: Uint8Array): SignedFile => JSON.parse(Buffer.from(bytes).toString()) as SignedFile;

/** Spelled as a signed document is. */
export const spell = (file: SignedFile): Buffer => Buffer.from(JSON.stringify(file));

export const payloadIn = (bytes: Uint8Array): Record<string, unknown> =>
  JSON.parse(parseFile(bytes).payload) as Record<string, unknown>;

/** Another payload under the signatures that were there. */
export function edit(bytes: Uint8Array, change: (payload: Record<string, unknown>) => object): Buffer {
  const file = parseFile(bytes);
  return spell({ ...file, payload: JSON.stringify(change(JSON.parse(file.payload) as Record<string, unknown>)) });
}

const seed = (label: string): Buffer => createHash('sha256').update(`attacker ${label}`).digest();

/** Keys of his own, under the cluster's names and numbers. */
export class Attacker {
  readonly #stage: Pick<Stage, 'documents' | 'keyring'>;
  readonly signingSeed = seed('signing key');
  readonly rootKey = seed('root key');

  constructor(stage: Pick<Stage, 'documents' | 'keyring'>) {
    this.#stage = stage;
  }

  get clusterId(): string {
    return this.#stage.keyring.clusterId;
  }

  /** Signs with his own key and says that it is the cluster's of that generation. */
  resign(type: DocumentType, payload: object, keyGeneration = 1): Buffer {
    return signDocument(type, this.clusterId, payload, [newSigner(keyGeneration, this.signingSeed)]);
  }

  genuine(pattern: RegExp): KeyringDocument {
    return this.#stage.documents.find(({ path }) => pattern.test(path))!;
  }

  /** A node of his, sealed by hardware of his. */
  async credential(): Promise<CredentialPayload> {
    const keyFile = join(temporaryDirectory(), 'host.key');
    const sealing = createSoftwareSealing({ keyFile, keyExpected: false, randomness: systemRandomness });
    await sealing.provision();
    const privateKey = seed('private key');
    const clusterVerifyKey = rawPublicKey('ed25519', this.signingSeed);
    const secret = encodeCredentialSecret({
      privateKey,
      clusterId: this.clusterId,
      clusterVerifyKey,
      keyGeneration: 1,
    });
    return {
      nodeId: uuidv7(new Date(), seed('node')),
      credentialId: uuidv7(new Date(), seed('credential')),
      name: 'intruder',
      site: null,
      hardwareIdentity: await sealing.hardwareIdentity(),
      sealingProvider: 'software',
      grade: 'unattested',
      publicKey: rawPublicKey('x25519', privateKey).toString('base64'),
      sealedCredential: (await sealing.seal(secret)).toString('base64'),
      createdAt: new Date().toISOString(),
    };
  }

  /**
   * A whole second generation: an epoch that says it follows the cluster's first, with his root key wrapped to every node by its
   * public key, a credential of his, and a membership with his node in it. `epoch` 1 replaces the genuine one.
   */
  async generation(epoch: 1 | 2): Promise<KeyringDocument[]> {
    const signer = newSigner(epoch, this.signingSeed);
    const verifyKey = this.#stage.keyring.verifyKey;
    // Signed by himself in the place of the previous generation, whose public key everybody knows.
    const acceptedPast = this.#stage.documents.map(({ bytes }) => createHash('sha256').update(bytes).digest('hex'));
    const previous = epoch === 1 ? null : { ...newSigner(1, this.signingSeed), verifyKey, acceptedPast };
    const cluster = { clusterId: this.clusterId, epoch, keyGeneration: epoch, rootKey: this.rootKey };
    const document = newEpochDocument(
      { ...cluster, signingSeed: this.signingSeed, previous, createdAt: new Date() },
      systemRandomness,
    );
    const members = payloadIn(this.genuine(/members\/1\.json/).bytes) as unknown as MembersPayload;
    const own = await this.credential();
    const { sealedCredential: _, createdAt: __, ...member } = own;
    const nodes = [...members.nodes, member];
    const slots = await Promise.all(
      nodes.map((node) => newSlotDocument(this.clusterId, epoch, this.rootKey, node, signer)),
    );
    const membership: MembersPayload = {
      ...members,
      number: epoch === 1 ? 1 : members.number + 1,
      previous:
        epoch === 1
          ? null
          : createHash('sha256')
              .update(this.genuine(/members\/1/).bytes)
              .digest('hex'),
      currentEpoch: epoch,
      keyGeneration: epoch,
      nodes,
    };
    return [
      document,
      ...slots,
      newCredentialDocument(this.clusterId, own, signer),
      newMembersDocument(this.clusterId, membership, signer),
    ];
  }
}

/** A document of the keyring, moved to where another one belongs. */
export function movedTo(path: string, { bytes }: KeyringDocument): KeyringDocument {
  if (parseKeyringPath(path) === undefined) throw new Error(`${path} is not in a keyring`);
  return { path, bytes };
}
