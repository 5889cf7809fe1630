import type { EvictionPlan } from '#operations/plan-key-change.ts';
import { freshnessOptions, readFreshness } from '#cli/freshness.ts';
import { defineCommand } from '#cli/command.ts';
import { failuresOfOpening } from '#cli/failures.ts';
import { keyChangeSchema, namedNodeSchema } from '#cli/key-change-schema.ts';
import { describeCosts, describeKeys } from '#cli/key-change-text.ts';
import { counted } from '#cli/output/units.ts';
import { backupIdSchema, countSchema } from '#cli/schemas.ts';

export const nodeEvict = defineCommand({
  noun: 'node',
  verb: 'evict',
  summary: 'put a host out of the cluster, with new keys for the others',
  description: `Makes new keys that the host does not get, encrypts every secret in the database under them, and has everything that was
signed until now listed and signed anew: what the host signs with the old key from now on counts nowhere. It first shows
what the host can still open with a copy of its disk, which nothing takes back, and asks.

Needs the database, the repository and the key of this host; the evicted host may be gone. No backup or restore may run at
the same time. Interrupted anywhere, repeat the command here or on another host, or let a manager finish it. The host can
join again only with a new token from "node invite".`,
  arguments: [{ name: 'NODE', help: 'id or name of the host, as node list shows it' }],
  options: [...freshnessOptions],
  examples: [
    { command: 'enclave-manager node evict host-b', means: 'shows what that means and asks' },
    { command: 'enclave-manager node evict host-b --yes --json', means: 'for scripts' },
  ],
  failures: [...failuresOfOpening.clusterOrImport, 'superseded'],
  result: (z) =>
    keyChangeSchema(z).extend({
      node: namedNodeSchema(z),
      alreadyEvicted: z.boolean(),
      stillOpens: z.object({
        epochs: z.array(z.int().min(1)),
        backups: z.array(backupIdSchema(z)),
        secrets: z.object({
          caKeys: z.array(z.object({ caKeyId: z.uuid(), zone: z.string() })),
          settings: z.array(z.string()),
          unnamed: z.object({ caKeys: countSchema(z), settings: countSchema(z) }),
          invites: countSchema(z),
        }),
      }),
    }),
  run: async (environment, input) => {
    const accepted = readFreshness(input);
    const { evictNode } = await import('#operations/evict-node.ts');
    const { planEviction } = await import('#operations/plan-key-change.ts');
    const cluster = await environment.cluster();
    const plan = await planEviction(cluster, input.arguments['NODE'] ?? '', accepted);
    environment.output.requireTerminal();
    const question = `Evict ${plan.node.name} (${plan.node.nodeId})?`;
    if (!plan.alreadyEvicted) await environment.output.confirm(describe(plan), question, environment.context.signal);
    const change = await evictNode(environment.context, await environment.host(), cluster, plan.node, accepted);
    const { toReseal: _, isUnsavedLife: __, ...told } = plan;
    return { result: structuredClone({ ...change, ...told }) };
  },
  render: (result, style) =>
    `${style.good(result.alreadyEvicted ? 'Evicted before:' : 'Evicted')} ${style.bold(result.node.name)} (${result.node.nodeId})\n${describeKeys(result, style)}`,
});

function describe({ node, stillOpens, ...costs }: EvictionPlan): string {
  const { epochs, backups, secrets } = stillOpens;
  const where = node.site === null ? '' : ` at ${node.site}`;
  return (
    `Evicts ${node.name}${where}, node ${node.nodeId}.\n` +
    `With a copy of its disk it can go on opening key epoch ${epochs.join(', ') || 'none'}: ${counted(backups.length, 'backup')} and every copy of them.\n` +
    describeSecrets(secrets) +
    describeCosts(costs)
  );
}

function describeSecrets({ caKeys, settings, unnamed, invites }: EvictionPlan['stillOpens']['secrets']): string {
  const lines: string[] = [];
  const zones = caKeys.map(({ zone }) => zone);
  if (caKeys.length > 0)
    lines.push(`  - ${counted(caKeys.length + unnamed.caKeys, 'key')} of certificate authorities${listed(zones)}\n`);
  if (settings.length > 0)
    lines.push(`  - ${counted(settings.length + unnamed.settings, 'secret')} in settings${listed(settings)}\n`);
  const open = invites === 0 ? '' : `Ends ${counted(invites, 'open invite')}, which it could read too.\n`;
  if (lines.length === 0) return `The database holds no key or setting whose secret it could read.\n${open}`;
  return `It could read these secrets; replace them:\n${lines.join('')}${open}`;
}

const maxNames = 10;

function listed(names: readonly string[]): string {
  if (names.length === 0) return '';
  return `: ${names.slice(0, maxNames).join(', ')}${names.length > maxNames ? ', …' : ''}`;
}
