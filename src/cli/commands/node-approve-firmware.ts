import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { defineCommand } from '#cli/command.ts';

export const nodeApproveFirmware = defineCommand({
  noun: 'node',
  verb: 'approve-firmware',
  summary: 'sign that hosts which started like this may open keys sealed before',
  description: `Signs measurements with the approval key, so that hosts whose key was sealed under ENCLAVE_MANAGER_TPM_APPROVAL_KEY open it
after an update of firmware or boot loader. Take the measurements on a host that was updated already (node measure --json), keep
what this prints with --json as a file, and put that into tpm-approvals in the data directory of each host before it restarts.

Run it where the private key is: a machine that is none of the hosts. Needs no database, no repository and no TPM.`,
  options: [
    { flag: '--measurements <file>', help: 'what node measure --json printed, or - for standard input' },
    { flag: '--approval-key-file <file>', help: 'EC P-256 private key in PEM, without passphrase' },
  ],
  examples: [
    {
      command:
        'enclave-manager node approve-firmware --measurements next.json --approval-key-file approval.key --json > 2026-12.json',
      means: 'then copy 2026-12.json to the hosts',
    },
  ],
  failures: [],
  result: (z) => z.object({ registers: z.string(), values: z.array(z.string()), signature: z.base64() }),
  run: async (environment, { options }) => {
    const { approve, formatMeasurements, parseApprovalPrivateKey, parseMeasurements } =
      await import('#model/tpm/approval.ts');
    const measurements = parseMeasurements(await read('measurements', 'Take them with node measure --json.'));
    if (measurements === undefined) {
      throw new EnclaveManagerError('usage', '--measurements names no measurements of a host', {
        hint: 'Give a file with what node measure --json printed on a host with a TPM.',
      });
    }
    const key = parseApprovalPrivateKey(await read('approval-key-file', keyHint));
    if (key === undefined) {
      throw new EnclaveManagerError('usage', '--approval-key-file names no EC P-256 private key in PEM', {
        hint: keyHint,
      });
    }
    const { signature } = approve(measurements, key);
    return { result: { ...formatMeasurements(measurements), signature: signature.toString('base64') } };

    async function read(name: string, hint: string): Promise<string> {
      const source = options[name];
      if (typeof source === 'string') return await environment.readInput(source);
      throw new EnclaveManagerError('usage', `--${name} is missing`, { hint });
    }
  },
  render: ({ registers, values, signature }) => `${JSON.stringify({ registers, values, signature }, null, 2)}\n`,
});

const keyHint =
  'Make a pair with: openssl ecparam -name prime256v1 -genkey -noout -out approval.key; openssl ec -in approval.key -pubout -out approval.pub.';
