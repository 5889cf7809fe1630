import { freshnessOptions, readFreshness } from '#cli/freshness.ts';
import { defineCommand } from '#cli/command.ts';
import { failuresOfOpening } from '#cli/failures.ts';
import { keyChangeSchema } from '#cli/key-change-schema.ts';
import { describeCosts, describeKeys } from '#cli/key-change-text.ts';

export const keysRotate = defineCommand({
  noun: 'keys',
  verb: 'rotate',
  summary: 'replace the keys of the cluster, for the same hosts',
  description: `Makes a new signing key and a new epoch, gives them to every enrolled host, and encrypts every secret in the database
anew. Backups of earlier epochs stay listed, authentic and restorable. It first shows what that costs, and asks.

Needs the database, the repository and the key of this host. No backup or restore may run at the same time. Interrupted
anywhere, repeat the command here or on another host, or let a manager finish it.`,
  options: [...freshnessOptions],
  examples: [
    { command: 'enclave-manager keys rotate', means: 'shows what it costs and asks' },
    { command: 'enclave-manager keys rotate --yes --json', means: 'for scripts' },
  ],
  failures: [...failuresOfOpening.clusterOrImport, 'superseded'],
  result: (z) => keyChangeSchema(z),
  run: async (environment, input) => {
    const accepted = readFreshness(input);
    const { rotateKeys } = await import('#operations/rotate-keys.ts');
    const { planRotation } = await import('#operations/plan-key-change.ts');
    environment.output.requireTerminal();
    const cluster = await environment.cluster();
    const plan = await planRotation(cluster, accepted);
    const text = `Replaces the keys of cluster ${cluster.keyring.clusterId}, now of generation ${cluster.keyring.keyGeneration}.\n`;
    await environment.output.confirm(`${text}${describeCosts(plan)}`, 'Replace the keys?', environment.context.signal);
    const change = await rotateKeys(environment.context, await environment.host(), cluster, accepted);
    return { result: structuredClone({ ...change, nextBackupBytes: plan.nextBackupBytes }) };
  },
  render: (result, style) => `${style.good('New keys.')} ${describeKeys(result, style)}`,
});
