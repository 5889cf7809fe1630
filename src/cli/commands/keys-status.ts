import { readClusterKey } from '#cli/cluster-key.ts';
import { defineCommand } from '#cli/command.ts';
import { failuresOfOpening } from '#cli/failures.ts';
import { formatFields, formatTable } from '#cli/output/table.ts';
import { namedNodeSchema } from '#cli/key-change-schema.ts';
import { namesOf } from '#cli/key-change-text.ts';
import { fingerprintSchema } from '#cli/schemas.ts';

export const keysStatus = defineCommand({
  noun: 'keys',
  verb: 'status',
  summary: 'show the keys of the cluster and how this host holds them',
  description: `Shows the key with which the cluster signs, its generation, every key epoch with the hosts that open it, and what seals
the key of this host. No secret is shown.

An eviction or a rotation is complete when every host has sealed its credential anew; this says which have not.

Needs the database and the key of this host. Seals the credential of this host anew where that is still to do.`,
  options: [
    {
      flag: '--cluster-key <fingerprint>',
      help: 'the right key, from a recovery line, where two claim to follow the one this host holds',
    },
  ],
  examples: [
    { command: 'enclave-manager keys status', means: 'which keys are in force' },
    {
      command: 'enclave-manager keys status --cluster-key sha256:…',
      means: 'after an eviction, where the evicted host forged keys: this host then holds the right one',
    },
  ],
  failures: failuresOfOpening.cluster,
  result: (z) =>
    z.object({
      clusterId: z.uuid(),
      clusterKey: fingerprintSchema(z),
      keyGeneration: z.int().min(1),
      membershipNumber: z.int().min(1),
      currentEpoch: z.int().min(1),
      epochs: z.array(
        z.object({
          epoch: z.int().min(1),
          current: z.boolean(),
          openableHere: z.boolean(),
          openers: z.array(z.string()),
        }),
      ),
      nodes: z.array(namedNodeSchema(z).extend({ keyGeneration: z.int().min(1).nullable(), resealed: z.boolean() })),
      /** `null` when no eviction or rotation is incomplete. */
      change: z.object({ interrupted: z.boolean(), waitingFor: z.array(namedNodeSchema(z)) }).nullable(),
      node: z.object({
        nodeId: z.uuid(),
        credentialId: z.uuid(),
        sealingProvider: z.string(),
        grade: z.string(),
        hardwareIdentity: z.string(),
        member: z.boolean(),
      }),
    }),
  run: async (environment, input) => {
    const clusterKey = readClusterKey(input);
    const { keyChangeUnderWay } = await import('#operations/change-keys.ts');
    const { keyring } = await environment.cluster({
      finishImport: false,
      ...(clusterKey === undefined ? {} : { clusterKey }),
    });
    const { nodes, number, currentEpoch } = keyring.membership;
    const own = nodes.find(({ nodeId }) => nodeId === keyring.nodeId);
    const epochs = keyring.epochs.map((epoch) => ({
      epoch,
      current: epoch === currentEpoch,
      openableHere: keyring.epochsOpenableBy(keyring.nodeId).has(epoch),
      openers: nodes.filter(({ nodeId }) => keyring.epochsOpenableBy(nodeId).has(epoch)).map(({ name }) => name),
    }));
    const generations = nodes.map(({ nodeId, name, site }) => {
      const generation = keyring.credentialGeneration(nodeId) ?? null;
      return { nodeId, name, site, keyGeneration: generation, resealed: generation === keyring.keyGeneration };
    });
    const node = {
      nodeId: keyring.nodeId,
      credentialId: keyring.credentialId,
      sealingProvider: own?.sealingProvider ?? (await environment.sealing()).provider,
      grade: own?.grade ?? 'unattested',
      hardwareIdentity: await (await environment.sealing()).hardwareIdentity(),
      member: keyring.isMember,
    };
    const { clusterId, fingerprint, keyGeneration } = keyring;
    return {
      result: {
        clusterId,
        clusterKey: fingerprint,
        keyGeneration,
        membershipNumber: number,
        currentEpoch,
        epochs,
        nodes: generations,
        change: keyChangeUnderWay(keyring),
        node,
      },
    };
  },
  render: (status, style) => {
    const { node } = status;
    const fields = formatFields([
      ['Cluster', status.clusterId],
      ['Cluster key', `${status.clusterKey}, generation ${status.keyGeneration}`],
      ['Membership', `number ${status.membershipNumber}`],
      ['This host', `${node.nodeId}${node.member ? '' : ', no longer a member'}`],
      ['Sealed by', `${node.sealingProvider} (${node.hardwareIdentity}), ${node.grade}`],
    ]);
    const table = formatTable(
      [
        { title: 'EPOCH', align: 'right', cell: ({ epoch }) => String(epoch) },
        { title: 'CURRENT', cell: ({ current }) => (current ? 'yes' : 'no') },
        { title: 'OPENS HERE', cell: ({ openableHere }) => (openableHere ? 'yes' : 'no') },
        { title: 'OPENED BY', cell: ({ openers }) => openers.join(', ') },
      ],
      status.epochs,
      style,
    );
    return `${fields}\n${table}${changeText(status.change)}`;
  },
});

function changeText(change: { interrupted: boolean; waitingFor: { name: string }[] } | null): string {
  if (change === null) return '';
  const interrupted = change.interrupted ? 'A change of the keys was interrupted: keys rotate finishes it.\n' : '';
  if (change.waitingFor.length === 0) return `\n${interrupted}`;
  return `\n${interrupted}Have not sealed their credential anew: ${namesOf(change.waitingFor)}\nStart the manager there, or run any command.\n`;
}
