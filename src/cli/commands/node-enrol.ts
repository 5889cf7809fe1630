import { EnclaveManagerError, isEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { EnrolResult } from '#operations/enrol-node.ts';
import { defineCommand, type Input } from '#cli/command.ts';
import type { Environment } from '#cli/environment.ts';
import { failuresOfOpening } from '#cli/failures.ts';
import { parseWholeNumber } from '#cli/numbers.ts';
import { counted } from '#cli/output/units.ts';
import { fingerprintSchema } from '#cli/schemas.ts';

export const nodeEnrol = defineCommand<EnrolResult>({
  noun: 'node',
  verb: 'enrol',
  summary: 'join this host to a cluster, with a token from node invite',
  description: `Makes the key of this host, seals it, asks the cluster to be admitted and waits until a running manager has done so. From
then on this host opens every backup of the cluster, also those made before.

Needs the database of the cluster (ENCLAVE_MANAGER_DATABASE_URL), a manager running on an enrolled host, and the token. The
token is read from a file, or from standard input with "-": arguments can be seen by every user of this host.`,
  options: [
    { flag: '--token-file <file>', help: 'a file with the token, or - for standard input' },
    { flag: '--wait <seconds>', help: 'how long to wait for a running manager; 60 unless given' },
  ],
  examples: [
    { command: 'enclave-manager node enrol --token-file -', means: 'paste the token, then press Enter and Ctrl-D' },
    {
      command: 'enclave-manager node enrol --token-file /run/token --node-name host-b --site east',
      means: 'under a name and a site',
    },
  ],
  failures: [
    ...failuresOfOpening.repository,
    ...failuresOfOpening.server,
    ...failuresOfOpening.sealing,
    'lease-held',
    'no-key',
    'not-permitted',
  ],
  result: (z) =>
    z.object({
      nodeId: z.uuid(),
      name: z.string(),
      grade: z.string(),
      clusterId: z.uuid(),
      clusterKey: fingerprintSchema(z),
      epochs: z.array(z.int().min(1)),
    }),
  run: async (environment, input) => {
    const { enrolNode } = await import('#operations/enrol-node.ts');
    const token = await readToken(environment, input);
    const wait = input.options['wait'];
    await requireDatabase(environment);
    const waitMs = typeof wait === 'string' ? parseWholeNumber('--wait', wait, { min: 1, max: 86_400 }) * 1000 : 60_000;
    return { result: await enrolNode(environment.context, await environment.joiningHost(), { token, waitMs }) };
  },
  render: (result, style) =>
    `${style.good('Enrolled')} ${style.bold(result.name)} into cluster ${result.clusterId}; ` +
    `it opens ${counted(result.epochs.length, 'key epoch')}; hardware: ${result.grade}\nCluster key: ${result.clusterKey}\n`,
});

/** Without its address there is only this host's own database, which holds no cluster to join. */
async function requireDatabase(environment: Environment): Promise<void> {
  try {
    await environment.server();
  } catch (error) {
    if (!isEnclaveManagerError(error, 'database-unreachable') || environment.configuration.database.kind !== 'embedded')
      throw error;
    throw new EnclaveManagerError(
      'configuration',
      `the database of the cluster to join is not named, and ${error.message}`,
      {
        hint: 'Set ENCLAVE_MANAGER_DATABASE_URL to what the enrolled hosts have there, as postgres://USER@HOST/malbork, and run this again. A cluster on the embedded database of another host has no address: it moves to a database server first.',
        cause: error,
      },
    );
  }
}

async function readToken(environment: Environment, { options }: Input): Promise<string> {
  const source = options['token-file'];
  if (typeof source !== 'string') {
    throw new EnclaveManagerError('usage', 'no token was given', {
      hint: 'Add --token-file FILE, or --token-file - to paste it. Make one with node invite.',
    });
  }
  return (await environment.readInput(source)).trim();
}
