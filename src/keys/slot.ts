import {
  AEAD_AES_256_GCM,
  CipherSuite,
  DecapError,
  DeserializeError,
  EncapError,
  KDF_HKDF_SHA256,
  KEM_DHKEM_X25519_HKDF_SHA256,
  OpenError,
} from 'hpke';
import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { ClusterId, CredentialId, NodeId } from '#model/identifiers.ts';
import { rawPublicKey } from './asymmetric-keys.ts';
import { rootKeyBytes } from './epoch-keys.ts';
import { encodeFields } from './pae.ts';

/** Everything a slot is for; another value in any member makes it open nothing. */
export interface SlotBinding {
  readonly clusterId: ClusterId;
  readonly epoch: number;
  readonly nodeId: NodeId;
  readonly credentialId: CredentialId;
  readonly hardwareIdentity: string;
}

export interface WrappedRootKey {
  /** 32 bytes, HPKE `enc`. */
  readonly encapsulatedKey: Buffer;
  /** 48 bytes. */
  readonly ciphertext: Buffer;
}

// RFC 9180 base mode: KEM 0x0020, KDF 0x0001, AEAD 0x0002; one message with empty associated data.
const suite = new CipherSuite(KEM_DHKEM_X25519_HKDF_SHA256, KDF_HKDF_SHA256, AEAD_AES_256_GCM);

const slotLabel = 'enclave-manager/1/slot';

/** Wraps a root key, or under another label another secret of 32 bytes, to a node's raw X25519 public key. Throws `damaged` when that is not a usable one. */
export async function wrapRootKey(
  rootKey: Uint8Array,
  publicKey: Uint8Array,
  binding: SlotBinding,
  label = slotLabel,
): Promise<WrappedRootKey> {
  try {
    const recipient = await suite.DeserializePublicKey(new Uint8Array(publicKey));
    const sealed = await suite.Seal(recipient, new Uint8Array(rootKey), { info: slotInfo(binding, label) });
    return { encapsulatedKey: Buffer.from(sealed.encapsulatedSecret), ciphertext: Buffer.from(sealed.ciphertext) };
  } catch (cause) {
    if (!(cause instanceof EncapError || cause instanceof DeserializeError)) throw cause;
    throw new EnclaveManagerError('damaged', `The public key of node ${binding.nodeId} cannot be used.`, { cause });
  }
}

/** `undefined` when this private key, or this binding, does not open the slot. */
export async function unwrapRootKey(
  wrapped: WrappedRootKey,
  privateKey: Uint8Array,
  binding: SlotBinding,
  label = slotLabel,
): Promise<Buffer | undefined> {
  const { encapsulatedKey, ciphertext } = wrapped;
  try {
    // With both halves given, the library does not ask Web Crypto for the public one, which Node still warns about.
    const recipient = {
      privateKey: await suite.DeserializePrivateKey(new Uint8Array(privateKey), false),
      publicKey: await suite.DeserializePublicKey(new Uint8Array(rawPublicKey('x25519', privateKey))),
    };
    const opened = await suite.Open(recipient, new Uint8Array(encapsulatedKey), new Uint8Array(ciphertext), {
      info: slotInfo(binding, label),
    });
    return opened.length === rootKeyBytes ? Buffer.from(opened) : undefined;
  } catch (error) {
    if (error instanceof OpenError || error instanceof DecapError || error instanceof DeserializeError)
      return undefined;
    throw error;
  }
}

/** HPKE `info`: PAE("enclave-manager/1/slot", clusterId, epoch, nodeId, credentialId, hardwareIdentity). */
function slotInfo(binding: SlotBinding, label: string): Uint8Array {
  const { clusterId, epoch, nodeId, credentialId, hardwareIdentity } = binding;
  return new Uint8Array(encodeFields(label, [clusterId, epoch, nodeId, credentialId, hardwareIdentity]));
}
