import { isEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { BackupId } from '#model/identifiers.ts';
import { unknownBecause } from '#model/unknown.ts';
import type { AskedFreshness } from '#operations/hidden-backups.ts';
import type { LiveContent } from '#operations/live-content.ts';
import type { Repository } from '#operations/open-repository.ts';
import type { JudgedPlan } from '#operations/plan-restore.ts';
import type { RestorePlan } from '#operations/restore-plan.ts';
import type { DatabaseServer } from '#ports/database.ts';
import type { Environment } from './environment.ts';
import { formatFields } from './output/table.ts';
import { counted, formatDuration, formatSize, formatTime } from './output/units.ts';

/** Plans a restore; with `create` the embedded server is made where there is none, because the restore needs it next. */
export async function planOf(
  environment: Environment,
  choice: BackupId | 'latest',
  options: {
    readonly create: boolean;
    readonly repository?: Repository;
    readonly clusterKey?: string | undefined;
    readonly accepted?: AskedFreshness;
    readonly safetyBackup?: boolean;
  },
): Promise<JudgedPlan> {
  const { planAndJudge } = await import('#operations/plan-restore.ts');
  const store = await environment.store();
  const server = options.create
    ? await environment.server({ create: true })
    : await serverIfAny(environment, 'planned');
  const sealing = await environment.sealing();
  const { create: _, ...known } = options;
  const [localState, catalogCache] = [environment.localState(), environment.catalogCache()];
  const now = environment.context.clock.now();
  return await planAndJudge({ store, server, sealing, localState, catalogCache, now, ...known }, choice);
}

/** `did` is what was done without one that does not answer. */
export async function serverIfAny(environment: Environment, did: string): Promise<DatabaseServer | undefined> {
  try {
    return await environment.server();
  } catch (error) {
    if (isEnclaveManagerError(error, 'not-found')) return undefined;
    if (!isEnclaveManagerError(error, 'database-unreachable')) throw error;
    environment.output.warn(`${did} without the database: ${error.message}`);
    return undefined;
  }
}

export function describePlan(plan: RestorePlan): string {
  const { backup, unknown } = plan;
  const newer =
    plan.newerBackups === 0
      ? 'the newest'
      : `${counted(plan.newerBackups, 'backup')} here ${plan.newerBackups === 1 ? 'is' : 'are'} newer`;
  const fields = formatFields([
    ['Restore', `${backup.id}, ${backup.kind}, sequence ${backup.sequence}: ${newer}`],
    ...(unknown === null ? [] : [['Authentic', unknownBecause(unknown)] as const]),
    ['Taken', `${formatTime(backup.startedAt)}; what was written since is lost`],
    ['Cluster', plan.clusterId],
    ['Cluster key', plan.clusterKey ?? 'unknown'],
    ['Newest here', `sequence ${plan.newestSequence} of ${formatTime(plan.newestStartedAt)}${seen(plan)}`],
    ['Holds', `${counted(plan.rows, 'row')}, ${formatSize(plan.logicalBytes)}`],
    ['Read back', readBack(plan)],
    ['Opens on', openers(plan)],
    ['Schema', schema(plan)],
    ['Should take', `about ${formatDuration(plan.estimatedDurationMs)}`],
    ['Needs', space(plan)],
    ['Replaces', replaced(plan)],
  ]);
  const warned = `${fields}${littleSpace(plan)}`;
  if (plan.obstacles.length === 0) return warned;
  return `${warned}\nThis would stop it:\n${plan.obstacles.map((obstacle) => `  - ${obstacle}\n`).join('')}`;
}

function readBack({ backup: { verified }, unknown }: RestorePlan): string {
  if (verified !== null) return formatTime(verified.at);
  return `${unknown === null ? 'never' : 'unknown'}; it is read first`;
}

function space({ neededBytes, server }: RestorePlan): string {
  const needed = `about ${formatSize(neededBytes)}`;
  return server?.freeBytes == null ? needed : `${needed}; ${formatSize(server.freeBytes)} are free`;
}

/** What it needs is estimated, so that this does not stop it. */
function littleSpace({ neededBytes, server }: RestorePlan): string {
  const free = server?.freeBytes ?? Infinity;
  if (free >= neededBytes) return '';
  return `\nWarning: the server has ${formatSize(free)} free and it needs about ${formatSize(neededBytes)}. If the space runs out, the restore fails and what is there now goes on.\n`;
}

const seen = ({ highestSequenceSeen }: RestorePlan): string =>
  highestSequenceSeen === null ? '; this host remembers none' : `; this host has seen ${highestSequenceSeen}`;

function openers({ openers: nodes, openableHere, unknown }: RestorePlan): string {
  const names = nodes.map(({ name, site }) => (site === null ? name : `${name} (${site})`));
  const listed = names.length === 0 ? 'no host that is known here' : names.join(', ');
  const here = openableHere === null ? 'unknown' : openableHere ? 'yes' : 'no';
  return `${listed}${unknown === null ? '' : ', by documents that nothing here proves'}; this host: ${here}`;
}

const schema = ({ schemaVersion, programSchemaVersion }: RestorePlan): string =>
  schemaVersion === programSchemaVersion
    ? String(schemaVersion)
    : `${schemaVersion}, then brought forward to ${programSchemaVersion}`;

function replaced({ server }: RestorePlan): string {
  if (server === null) return 'no database could be asked';
  if (server.live === null) return `nothing: there is no such database yet at ${server.location}`;
  const { name, sizeBytes, content } = server.live;
  return `database "${name}" at ${server.location}, ${formatSize(sizeBytes)}; ${fates[content]}`;
}

const kept = 'is kept until restore cleanup';

/** What becomes of what is there. */
const fates: Record<LiveContent, string> = {
  nothing: 'it is empty, and dropped',
  cluster: `what it holds ${kept}`,
  creating: `its cluster was only begun: no safety backup is taken, and it ${kept}`,
  import: `it holds an import that does not serve yet: no safety backup is taken, and it ${kept}`,
  rows: `it holds rows, and no cluster row: no safety backup can be taken, and it ${kept}`,
};
