import { defineCommand } from '#cli/command.ts';
import { failuresOfOpening } from '#cli/failures.ts';
import { formatFields } from '#cli/output/table.ts';

export const nodeMeasure = defineCommand({
  noun: 'node',
  verb: 'measure',
  summary: 'show the hardware of this host, and what it measured while it started',
  description: `Shows what seals, or would seal, the key of this host: the provider, the identity of the hardware, and with a TPM the
registers (PCR) that hold what was measured while the host started. Compare the identity on the host itself before you confirm it
elsewhere. Take the registers of a host that has the next firmware already for node approve-firmware.

Needs the sealing device. Needs no database and no key, and changes nothing.`,
  examples: [
    { command: 'enclave-manager node measure', means: 'the identity to confirm when this host is invited' },
    { command: 'enclave-manager node measure --json > next.json', means: 'registers to be approved' },
  ],
  failures: failuresOfOpening.sealing,
  result: (z) =>
    z.object({
      sealingProvider: z.string(),
      hardwareIdentity: z.string(),
      registers: z.string().nullable(),
      values: z.array(z.string()),
    }),
  run: async (environment) => {
    const { formatMeasurements } = await import('#model/tpm/approval.ts');
    const sealing = await environment.sealing();
    const measured = await sealing.measure?.();
    const registers = measured === undefined ? { registers: null, values: [] } : formatMeasurements(measured);
    const hardwareIdentity = await sealing.hardwareIdentity();
    return { result: { sealingProvider: sealing.provider, hardwareIdentity, ...registers } };
  },
  render: ({ sealingProvider, hardwareIdentity, registers, values }) =>
    formatFields([
      ['Sealed by', sealingProvider],
      ['Hardware', hardwareIdentity],
      ...values.map((value, position): [string, string] => [`PCR ${namesOf(registers)[position] ?? '?'}`, value]),
    ]),
});

const namesOf = (registers: string | null): string[] => (registers ?? '').replace(/^.*:/, '').split(',');
