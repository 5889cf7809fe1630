import { defineCommand } from '#cli/command.ts';
import { formatDuration } from '#cli/output/units.ts';
import { countSchema } from '#cli/schemas.ts';

export const nodeInvite = defineCommand({
  noun: 'node',
  verb: 'invite',
  summary: 'make a one-time token with which one more host may join',
  description: `Makes a token that enrols one further host. It is shown once and stored nowhere; whoever has it can become a host that
opens every backup, so hand it over on a trusted way. It names this cluster's key: the new host joins no other.

Needs the database and the key of this host.`,
  examples: [
    { command: 'enclave-manager node invite', means: 'then, on the new host: enclave-manager node enrol' },
    { command: 'enclave-manager node invite --json | jq -r .token', means: 'the token only' },
  ],
  failures: ['not-found', 'database-unreachable', 'sealing-unavailable', 'no-key'],
  result: (z) => z.object({ inviteId: z.uuid(), token: z.string(), expiresInMs: countSchema(z) }),
  run: async (environment) => {
    const { inviteNode } = await import('#operations/enrol-node.ts');
    return { result: await inviteNode(environment.context, await environment.cluster()) };
  },
  render: ({ token, expiresInMs }, style) =>
    `${style.bold(token)}\n\nUse it once, within ${formatDuration(expiresInMs)}, on the new host, while a manager runs here:\n` +
    '  enclave-manager node enrol --token-file -\nand paste it there. Do not send it by mail.\n',
});
