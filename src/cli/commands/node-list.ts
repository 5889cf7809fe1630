import { defineCommand } from '#cli/command.ts';
import { failuresOfOpening } from '#cli/failures.ts';
import { formatTable } from '#cli/output/table.ts';
import { formatTime } from '#cli/output/units.ts';
import { unknownBecause } from '#model/unknown.ts';
import { timeSchema } from '#cli/schemas.ts';

export const nodeList = defineCommand({
  noun: 'node',
  verb: 'list',
  summary: 'list the enrolled hosts and what each can open',
  description: `Lists the hosts that the signed membership of the cluster names, how their keys are sealed and which key epochs
each can open: the hosts on which the backups can be restored. The last proof is when a host last showed that its hardware
opens them: at a start of its manager, once a day after that, or by node probe.

Needs the database and the key of this host. Changes nothing.`,
  examples: [{ command: 'enclave-manager node list', means: 'which hosts can open the backups' }],
  failures: failuresOfOpening.cluster,
  result: (z) =>
    z.array(
      z.object({
        nodeId: z.uuid(),
        name: z.string(),
        site: z.string().nullable(),
        thisHost: z.boolean(),
        sealingProvider: z.string(),
        grade: z.string(),
        hardwareIdentity: z.string(),
        epochs: z.array(z.int().min(1)),
        lastProofAt: z.union([timeSchema(z), z.literal('unknown')]).nullable(),
      }),
    ),
  run: async (environment) => {
    const { readNodeProofTimes } = await import('#operations/read-openability.ts');
    const cluster = await environment.cluster({ finishImport: false });
    const { keyring } = cluster;
    const { provedAt, unknown } = await readNodeProofTimes(environment.context, cluster);
    const never = unknown === null ? null : ('unknown' as const);
    if (unknown !== null)
      environment.output.warn(`when hosts proved themselves last may be ${unknownBecause(unknown)}`);
    const nodes = keyring.membership.nodes.map(({ nodeId, name, site, sealingProvider, grade, hardwareIdentity }) => ({
      nodeId,
      name,
      site,
      thisHost: nodeId === keyring.nodeId,
      sealingProvider,
      grade,
      hardwareIdentity,
      epochs: [...keyring.epochsOpenableBy(nodeId)].toSorted((a, b) => a - b),
      lastProofAt: provedAt.get(nodeId) ?? never,
    }));
    return { result: nodes };
  },
  render: (nodes, style) =>
    formatTable(
      [
        { title: 'NAME', cell: ({ name, thisHost }) => (thisHost ? `${name} (this host)` : name) },
        { title: 'SITE', cell: ({ site }) => site ?? '-' },
        { title: 'SEALED BY', cell: ({ sealingProvider, grade }) => `${sealingProvider}, ${grade}` },
        { title: 'OPENS EPOCHS', cell: ({ epochs }) => (epochs.length === 0 ? 'none' : epochs.join(', ')) },
        { title: 'LAST PROOF', cell: ({ lastProofAt }) => lastProof(lastProofAt) },
        { title: 'ID', cell: ({ nodeId }) => nodeId },
      ],
      nodes,
      style,
    ),
});

function lastProof(at: string | null): string {
  if (at === null) return 'none';
  return at === 'unknown' ? at : formatTime(at);
}
