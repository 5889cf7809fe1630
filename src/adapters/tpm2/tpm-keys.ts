import { createHash } from 'node:crypto';
import { sha256Algorithm } from '#model/tpm/pcr-selection.ts';
import { sized, uint16, uint32 } from '#model/tpm/wire.ts';
import { emptyPassword, type TpmClient } from './tpm-client.ts';

const algorithms = { aes: 0x0006, keyedHash: 0x0008, null: 0x0010, ecc: 0x0023, cfb: 0x0043 } as const;
const nistP256 = 0x0003;

/** TPMA_OBJECT, TPM 2.0 Part 2, chapter 8.3. */
const attributes = {
  fixedTpm: 0x2,
  fixedParent: 0x10,
  sensitiveDataOrigin: 0x20,
  userWithAuth: 0x40,
  noDictionaryAttack: 0x400,
  restricted: 0x1_0000,
  decrypt: 0x2_0000,
} as const;

const ownerHierarchy = 0x4000_0001;

/** ECC NIST P-256 storage key, as the TCG's provisioning guidance has it. */
const storageTemplate = Buffer.concat([
  uint16(algorithms.ecc),
  uint16(sha256Algorithm),
  uint32(
    attributes.fixedTpm |
      attributes.fixedParent |
      attributes.sensitiveDataOrigin |
      attributes.userWithAuth |
      attributes.noDictionaryAttack |
      attributes.restricted |
      attributes.decrypt,
  ),
  sized(),
  uint16(algorithms.aes),
  uint16(128),
  uint16(algorithms.cfb),
  uint16(algorithms.null),
  uint16(nistP256),
  uint16(algorithms.null),
  sized(Buffer.alloc(32)),
  sized(Buffer.alloc(32)),
]);

export interface LoadedKey {
  readonly handle: number;
  /** TPMT_PUBLIC. */
  readonly publicArea: Buffer;
  /** Algorithm and digest: what policies and credentials name a key by. */
  readonly name: Buffer;
}

/** The parent of what is sealed: the same for the life of the owner hierarchy, another after the TPM was cleared. */
export async function createStorageKey(tpm: TpmClient): Promise<LoadedKey> {
  return await createPrimary(tpm, ownerHierarchy, storageTemplate);
}

export async function createPrimary(tpm: TpmClient, hierarchy: number, template: Buffer): Promise<LoadedKey> {
  const { handle, parameters } = await tpm.load('CreatePrimary', {
    handles: [hierarchy],
    authorizations: [emptyPassword],
    parameters: [sized(sized(), sized()), sized(template), sized(), uint32(0)],
  });
  const publicArea = Buffer.from(parameters.sized());
  return { handle, publicArea, name: nameOf(publicArea) };
}

export function nameOf(publicArea: Uint8Array): Buffer {
  return Buffer.concat([uint16(sha256Algorithm), createHash('sha256').update(publicArea).digest()]);
}

/** The digest without the algorithm. */
export const digestOfName = (name: Buffer): Buffer => name.subarray(2);

const sealedTemplate = (policy: Uint8Array, unique: Uint8Array): Buffer =>
  Buffer.concat([
    uint16(algorithms.keyedHash),
    uint16(sha256Algorithm),
    // Without userWithAuth the policy is the only way to the secret.
    uint32(attributes.fixedTpm | attributes.fixedParent | attributes.noDictionaryAttack),
    sized(policy),
    uint16(algorithms.null),
    sized(unique),
  ]);

export interface SealedObject {
  /** TPM2B_PRIVATE's contents: encrypted and authenticated by the parent. */
  readonly private: Buffer;
  /** TPMT_PUBLIC. */
  readonly public: Buffer;
}

export async function createSealedObject(
  tpm: TpmClient,
  parent: LoadedKey,
  policy: Uint8Array,
  secret: Uint8Array,
): Promise<SealedObject> {
  const sensitive = sized(sized(), sized(secret));
  const response = await tpm.run('Create', {
    handles: [parent.handle],
    authorizations: [emptyPassword],
    parameters: [sensitive, sized(sealedTemplate(policy, Buffer.alloc(0))), sized(), uint32(0)],
  });
  sensitive.fill(0);
  return { private: Buffer.from(response.sized()), public: Buffer.from(response.sized()) };
}

const uniqueBytes = 32;

/** True for exactly what `createSealedObject` makes under this policy: nothing that could be duplicated, or opened by a password. */
export function isSealedUnder(publicArea: Buffer, policy: Uint8Array): boolean {
  const unique = publicArea.subarray(-uniqueBytes);
  return publicArea.length > uniqueBytes && publicArea.equals(sealedTemplate(policy, unique));
}

/** TPM2_Load, which takes only what this TPM made under this very parent. */
export async function loadSealedObject(tpm: TpmClient, parent: LoadedKey, sealed: SealedObject): Promise<number> {
  const { handle } = await tpm.load('Load', {
    handles: [parent.handle],
    authorizations: [emptyPassword],
    parameters: [sized(sealed.private), sized(sealed.public)],
  });
  return handle;
}
