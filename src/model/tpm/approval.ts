import { createPrivateKey, createPublicKey, type KeyObject, sign } from 'node:crypto';
import { z } from 'zod';
import { formatPcrSelection, parsePcrSelection, pcrDigestBytes, type PcrSelection } from './pcr-selection.ts';
import { pcrPolicy } from './policy.ts';
import { sized, uint16, uint32 } from './wire.ts';

/** What a host measured while it started. */
export interface Measurements {
  readonly selection: PcrSelection;
  /** 32 bytes each, in the order of the selection. */
  readonly values: readonly Buffer[];
}

/** The word of whoever holds the approval key that a host which started like this may open what was sealed before. */
export interface Approval extends Measurements {
  /** ECDSA over `approvalDigest`: r and s, 32 bytes each. */
  readonly signature: Buffer;
}

/** `policyRef` of TPM2_PolicyAuthorize: keeps signatures that the key made for something else out. */
export const approvalReference = Buffer.from('enclave-manager/1/tpm2-approval');

const base64 = z.base64().transform((text) => Buffer.from(text, 'base64'));
const selection = z.string().transform((text, context) => {
  const parsed = parsePcrSelection(text);
  if (parsed !== undefined) return parsed;
  context.addIssue({ code: 'custom', message: 'is not a selection of registers' });
  return z.NEVER;
});
const value = z
  .string()
  .regex(/^[0-9a-f]{64}$/)
  .transform((text) => Buffer.from(text, 'hex'));

const measurementsSchema = z.object({ registers: selection, values: z.array(value).min(1).max(24) });
const approvalSchema = measurementsSchema.extend({ signature: base64.refine((bytes) => bytes.length === 64) });

const maxTextBytes = 65_536;

/** As `node measure --json` prints them, whatever stands beside; `undefined` for anything else. */
export function parseMeasurements(text: string): Measurements | undefined {
  const parsed = measurementsSchema.safeParse(parseJson(text));
  return parsed.success ? checked({ selection: parsed.data.registers, values: parsed.data.values }) : undefined;
}

/** As `node approve-firmware --json` prints it. */
export function parseApproval(text: string): Approval | undefined {
  const parsed = approvalSchema.safeParse(parseJson(text));
  if (!parsed.success) return undefined;
  const { registers, values, signature } = parsed.data;
  return checked({ selection: registers, values, signature });
}

function checked<T extends Measurements>(measurements: T): T | undefined {
  return measurements.values.length === measurements.selection.indexes.length ? measurements : undefined;
}

export function formatMeasurements({ selection: registers, values }: Measurements) {
  return { registers: formatPcrSelection(registers), values: values.map((bytes) => bytes.toString('hex')) };
}

/** Signs with an EC P-256 key. The private key belongs on a machine of its own, away from the hosts. */
export function approve(measurements: Measurements, privateKey: KeyObject): Approval {
  const { selection: registers, values } = measurements;
  const signed = Buffer.concat([pcrPolicy(registers, values), approvalReference]);
  return { ...measurements, signature: sign('sha256', signed, { key: privateKey, dsaEncoding: 'ieee-p1363' }) };
}

/** An EC P-256 private key in PEM without passphrase; `undefined` for anything else. */
export function parseApprovalPrivateKey(pem: string): KeyObject | undefined {
  return p256Key(() => createPrivateKey(pem));
}

/** An EC P-256 public key in PEM; `undefined` for anything else. */
export function parseApprovalKey(pem: string): KeyObject | undefined {
  if (pem.includes('PRIVATE KEY')) return undefined;
  return p256Key(() => createPublicKey(pem));
}

function p256Key(read: () => KeyObject): KeyObject | undefined {
  try {
    const key = read();
    const isP256 = key.asymmetricKeyType === 'ec' && key.asymmetricKeyDetails?.namedCurve === 'prime256v1';
    return isP256 ? key : undefined;
  } catch {
    return undefined;
  }
}

const [ecc, sha256, none, nistP256] = [0x0023, 0x000b, 0x0010, 0x0003];
const signAndUserWithAuth = 0x4_0040;

/** TPMT_PUBLIC of a key that only verifies, as TPM2_LoadExternal takes it. */
export function approvalKeyArea(key: KeyObject): Buffer {
  const { x = '', y = '' } = key.export({ format: 'jwk' });
  return Buffer.concat([
    uint16(ecc),
    uint16(sha256),
    uint32(signAndUserWithAuth),
    sized(),
    ...[none, none, nistP256, none].map(uint16),
    ...[x, y].map((coordinate) => sized(Buffer.from(coordinate, 'base64url'))),
  ]);
}

export const approvalKeyAreaBytes = 2 + 2 + 4 + 2 + 8 + 2 * (2 + pcrDigestBytes);

function parseJson(text: string): unknown {
  if (text.length > maxTextBytes) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
