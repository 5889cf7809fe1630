import { generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { collateralSchema } from '#attestation/collateral.ts';
import { verifyQuote } from '#attestation/verify-quote.ts';
import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { approve, formatMeasurements, parseApproval, parseMeasurements } from '#model/tpm/approval.ts';
import { parsePcrSelection } from '#model/tpm/pcr-selection.ts';
import { type Target, json } from './target.ts';

const vectors = new URL('../vectors/dcap/', import.meta.url);
const sample = (name: string): Buffer => readFileSync(new URL(name, vectors));
const inTime = new Date('2025-06-20T00:00:00Z');

/** What hardware, and who vouches for it, sends. */
export function hardwareTargets(): Target[] {
  const collateral = sample('sgx_quote_collateral.json');
  const parsed = collateralSchema.parse(JSON.parse(collateral.toString()));
  const quote = sample('sgx_quote');
  return [
    {
      name: 'quote',
      seeds: [quote],
      json: false,
      codes: ['evidence-rejected'],
      read: (input) => void verifyQuote(input, parsed, inTime),
    },
    {
      name: 'quote-collateral',
      seeds: [collateral],
      json: true,
      codes: ['evidence-rejected', 'configuration'],
      read: (input) => verifyQuote(quote, readCollateral(input), inTime),
    },
    approvalTarget(),
  ];
}

/** As the file of a setting is read. */
function readCollateral(input: Buffer) {
  try {
    return collateralSchema.parse(JSON.parse(input.toString()));
  } catch (error) {
    throw new EnclaveManagerError('configuration', 'not collateral', { cause: error });
  }
}

function approvalTarget(): Target {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const selection = parsePcrSelection('sha256:0,7')!;
  const approval = approve({ selection, values: [Buffer.alloc(32, 1), Buffer.alloc(32, 2)] }, privateKey);
  const signature = approval.signature.toString('base64');
  return {
    name: 'tpm-approval',
    seeds: [json({ ...formatMeasurements(approval), signature })],
    json: true,
    codes: [],
    read: (input) => [parseApproval(input.toString()), parseMeasurements(input.toString())],
  };
}
