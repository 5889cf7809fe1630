import { nameOf, newSealedTemplate, storageTemplate } from '#attestation/tpm/public-area.ts';
import type { SealedObject } from '#attestation/tpm/sealed-layout.ts';
import { sized, uint32 } from '#model/tpm/wire.ts';
import { emptyPassword, type TpmClient } from './tpm-client.ts';

const ownerHierarchy = 0x4000_0001;

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
    parameters: [sensitive, sized(newSealedTemplate(policy)), sized(), uint32(0)],
  });
  sensitive.fill(0);
  return { private: Buffer.from(response.sized()), public: Buffer.from(response.sized()) };
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
