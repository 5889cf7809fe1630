import { decodePcrBits, encodePcrSelection, type PcrSelection, pcrDigestBytes } from '#model/tpm/pcr-selection.ts';
import type { TpmClient } from './tpm-client.ts';
import { unavailable } from './tpm-device.ts';

/** The registers' values, in the order of the selection. Throws `sealing-unavailable` where the TPM does not keep this bank. */
export async function readPcrValues(tpm: TpmClient, { bank, indexes }: PcrSelection): Promise<Buffer[]> {
  const values = new Map<number, Buffer>();
  // One answer holds at most eight.
  while (values.size < indexes.length) {
    const missing = indexes.filter((index) => !values.has(index));
    const found = await readSome(tpm, missing);
    if (found.size === 0) {
      throw unavailable(
        `the TPM keeps no ${bank} value of PCR ${missing.join(', ')}`,
        'Switch the SHA-256 bank on in the firmware setup, or choose other registers with ENCLAVE_MANAGER_TPM_PCRS.',
      );
    }
    for (const [index, value] of found) values.set(index, value);
  }
  return indexes.map((index) => values.get(index)!);
}

async function readSome(tpm: TpmClient, indexes: readonly number[]): Promise<Map<number, Buffer>> {
  const response = await tpm.run('PCR_Read', { parameters: [encodePcrSelection(indexes)] });
  response.uint32();
  const read: number[] = [];
  for (let banks = response.uint32(); banks > 0; banks--) {
    response.uint16();
    read.push(...decodePcrBits(response.bytes(response.uint8())));
  }
  const digests = Array.from({ length: response.uint32() }, () => Buffer.from(response.sized()));
  const pairs = digests.flatMap((digest, position): [number, Buffer][] => {
    const index = read[position];
    return index !== undefined && indexes.includes(index) && digest.length === pcrDigestBytes ? [[index, digest]] : [];
  });
  return new Map(pairs);
}
