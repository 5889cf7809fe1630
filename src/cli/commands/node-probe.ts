import { defineCommand } from '#cli/command.ts';
import { failuresOfOpening } from '#cli/failures.ts';
import { formatFields } from '#cli/output/table.ts';
import { formatTime } from '#cli/output/units.ts';
import { timeSchema } from '#cli/schemas.ts';

export const nodeProbe = defineCommand({
  noun: 'node',
  verb: 'probe',
  summary: 'prove now that the hardware of this host opens its keys',
  description: `Has the hardware of this host unseal its credential, opens the key of every epoch with it, and records when it did:
the proof that node list and openability show. A running manager does it at its start and once a day; run it after work on
the board, the firmware or the microcode of a host.

Needs the database and the key of this host. Changes nothing but the recorded time.`,
  examples: [{ command: 'enclave-manager node probe', means: 'does this host still open everything?' }],
  failures: failuresOfOpening.clusterOrImport,
  result: (z) =>
    z.object({
      nodeId: z.uuid(),
      name: z.string(),
      sealingProvider: z.string(),
      grade: z.string(),
      hardwareIdentity: z.string(),
      epochs: z.array(z.int().min(1)),
      provedAt: timeSchema(z),
    }),
  run: async (environment) => {
    const { proveNode } = await import('#operations/prove-node.ts');
    const { findNode } = await import('#operations/find-node.ts');
    const cluster = await environment.cluster();
    const { at, epochs } = await proveNode(environment.context, cluster);
    const own = findNode(cluster.keyring.membership.nodes, cluster.keyring.nodeId);
    const { nodeId, name, sealingProvider, grade, hardwareIdentity } = own;
    return {
      result: { nodeId, name, sealingProvider, grade, hardwareIdentity, epochs: [...epochs], provedAt: at },
    };
  },
  render: (proof) =>
    formatFields([
      ['Host', `${proof.name}, ${proof.nodeId}`],
      ['Sealed by', `${proof.sealingProvider} (${proof.hardwareIdentity}), ${proof.grade}`],
      [
        'Opened',
        `its credential, and the key of ${proof.epochs.length === 1 ? 'epoch' : 'epochs'} ${proof.epochs.join(', ')}`,
      ],
      ['Proved', formatTime(proof.provedAt)],
    ]),
});
