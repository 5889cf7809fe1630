import { z } from 'zod';
import { isUuid } from '#model/identifiers.ts';
import { rawKeyBytes } from './asymmetric-keys.ts';
import { boundedList } from './bounded-list.ts';
import { isNodeName } from './node-name.ts';

/** The payloads of the keyring's signed documents, as `docs/backup-format.md` specifies them. */

const maxNumber = 0xffff_ffff;
export const maxNodes = 1000;
/** Room for 300 000 digests: decades of daily backups and their verifications. */
export const maxAcceptedPast = 300_000;

const uuid = z.string().refine(isUuid);
const counted = z.int().min(1).max(maxNumber);
const time = z.iso.datetime({ precision: 3 });
const digest = z.string().regex(/^[0-9a-f]{64}$/);

/** Base64 with padding (RFC 4648 §4) of `minBytes` to `maxBytes` bytes, in its one canonical spelling. */
export function base64(minBytes: number, maxBytes = minBytes) {
  return z
    .string()
    .max(Math.ceil(maxBytes / 3) * 4)
    .refine((text) => {
      const bytes = Buffer.from(text, 'base64');
      return bytes.length >= minBytes && bytes.length <= maxBytes && bytes.toString('base64') === text;
    });
}

export const memberNodeSchema = z.object({
  nodeId: uuid,
  name: z.string().refine(isNodeName),
  site: z.string().refine(isNodeName).nullable(),
  credentialId: uuid,
  hardwareIdentity: z.string().regex(/^[\x21-\x7e]{1,200}$/),
  sealingProvider: z.enum(['software', 'tpm2', 'sgx']),
  /** How well the hardware was proved at enrolment; `unattested` without evidence. */
  grade: z.string().regex(/^[a-z][a-z0-9-]{0,31}$/),
  /** Raw X25519 public key. */
  publicKey: base64(rawKeyBytes),
});

/** One enrolled host, as the signed membership names it. */
export type MemberNode = Readonly<z.infer<typeof memberNodeSchema>>;

export const credentialSchema = memberNodeSchema.extend({
  /** What the host's hardware sealed; its layout is the sealing provider's. */
  sealedCredential: base64(1, 64 * 1024),
  createdAt: time,
});

export type CredentialPayload = z.infer<typeof credentialSchema>;

export const membersSchema = z.object({
  number: counted,
  /** Hex SHA-256 of the file of the membership before this one; `null` for number 1. */
  previous: digest.nullable(),
  currentEpoch: counted,
  keyGeneration: counted,
  nodes: boundedList(memberNodeSchema, { min: 1, max: maxNodes }),
  createdAt: time,
});

export type MembersPayload = z.infer<typeof membersSchema>;

export const epochSchema = z
  .object({
    epoch: counted,
    keyGeneration: counted,
    /** Raw Ed25519 public key of `keyGeneration`. */
    verifyKey: base64(rawKeyBytes),
    /** Nonce, encrypted Ed25519 seed, tag. */
    encryptedSigningKey: base64(12 + rawKeyBytes + 16),
    rootKeyCommitment: digest,
    previousKeyGeneration: counted.nullable(),
    previousVerifyKey: base64(rawKeyBytes).nullable(),
    /** Hex SHA-256 of every authentic document of earlier generations; `null` for the first generation only. */
    acceptedPast: boundedList(digest, { max: maxAcceptedPast }).nullable(),
    /** Nodes that this generation leaves out; whoever finds the membership still naming them writes the next one without. */
    evicted: z.array(uuid).max(maxNodes).optional(),
    /** The membership in force when it was made; missing where an earlier version made it. */
    membership: z.object({ number: counted, digest }).optional(),
    createdAt: time,
  })
  .refine((payload) => {
    const { previousKeyGeneration: previous, previousVerifyKey, acceptedPast, keyGeneration } = payload;
    if (previous === null) return previousVerifyKey === null && acceptedPast === null;
    return previousVerifyKey !== null && acceptedPast !== null && previous < keyGeneration;
  });

export type EpochPayload = z.infer<typeof epochSchema>;

export const slotSchema = z.object({
  epoch: counted,
  nodeId: uuid,
  credentialId: uuid,
  hardwareIdentity: memberNodeSchema.shape.hardwareIdentity,
  /** HPKE `enc`: the ephemeral X25519 public key. */
  encapsulatedKey: base64(rawKeyBytes),
  /** HPKE ciphertext of the root key with its tag. */
  ciphertext: base64(rawKeyBytes + 16),
});

export type SlotPayload = z.infer<typeof slotSchema>;
