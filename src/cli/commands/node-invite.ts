import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { defineCommand } from '#cli/command.ts';
import { failuresOfOpening } from '#cli/failures.ts';
import { formatDuration } from '#cli/output/units.ts';
import { countSchema } from '#cli/schemas.ts';

export const nodeInvite = defineCommand({
  noun: 'node',
  verb: 'invite',
  summary: 'make a one-time token with which one more host may join',
  description: `Makes a token that enrols one further host. It is shown once and stored nowhere; whoever has it can become a host that
opens every backup, so hand it over on a trusted way. It names this cluster's key: the new host joins no other.

The new host needs the database of this cluster: on the embedded one, which no other machine reaches, a token is of no use
there. Move the cluster to a database server first: set ENCLAVE_MANAGER_DATABASE_URL, then restore run latest.

Needs the database and the key of this host.`,
  options: [
    {
      flag: '--hardware <identity>',
      help: 'only for the host with this hardware, as node measure shows it there: it has to prove that',
    },
  ],
  examples: [
    { command: 'enclave-manager node invite', means: 'then, on the new host: enclave-manager node enrol' },
    { command: 'enclave-manager node invite --json | jq -r .token', means: 'the token only' },
  ],
  failures: failuresOfOpening.clusterOrImport,
  result: (z) => z.object({ inviteId: z.uuid(), token: z.string(), expiresInMs: countSchema(z) }),
  run: async (environment, { options }) => {
    const { inviteNode } = await import('#operations/enrol-node.ts');
    if (environment.configuration.database.kind === 'embedded') environment.output.note(unreachable);
    return {
      result: await inviteNode(environment.context, await environment.cluster(), {
        hardwareIdentity: identityOf(options['hardware']),
      }),
    };
  },
  render: ({ token, expiresInMs }, style) =>
    `${style.bold(token)}\n\nUse it once, within ${formatDuration(expiresInMs)}, on the new host, while a manager runs here:\n` +
    '  enclave-manager node enrol --token-file -\nand paste it there. Do not send it by mail.\n',
});

const unreachable =
  'warning: this cluster is on the embedded database, which no other machine reaches: a host elsewhere cannot join with this token. Give it a database server first: take a backup, stop the manager, set ENCLAVE_MANAGER_DATABASE_URL to an empty database there, then restore run latest';

function identityOf(given: unknown): string | undefined {
  if (given === undefined) return undefined;
  if (typeof given === 'string' && /^tpm2:[0-9a-f]{64}$/.test(given)) return given;
  throw new EnclaveManagerError('usage', '--hardware is not the identity of a TPM', {
    hint: 'Copy it from node measure on the host that is meant: tpm2: and 64 hexadecimal digits.',
  });
}
