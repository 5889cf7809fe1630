import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { unknownBecause, withoutPeriod } from '#model/unknown.ts';
import { newerSchema } from './load-backup.ts';
import { missingBackups, restoreWithoutThem, type AskedFreshness } from './hidden-backups.ts';
import { rowsWithoutCluster } from './live-content.ts';
import type { PlannedServer, RestorePlan } from './restore-plan.ts';

/** Why a restore would not begin: a sentence, and what it ends with. */
export interface Obstacle {
  readonly sentence: string;
  readonly error: EnclaveManagerError;
}

/** What is known of the place beside the plan. */
export interface JudgedPlace {
  readonly location: string;
  /** Why nothing is proved. */
  readonly unproved: EnclaveManagerError | undefined;
  /** Why this host may not restore, where it was evicted. */
  readonly notPermitted: EnclaveManagerError | undefined;
  /** Highest sequence that counts; where nothing is proved, of what is listed. */
  readonly newestSequence: number;
  readonly accepted: AskedFreshness;
  readonly safetyBackup: boolean;
}

type Facts = Omit<RestorePlan, 'obstacles'>;

/** In the order in which they are said; the first one decides how it ends. */
export function findObstacles(plan: Facts, place: JudgedPlace): Obstacle[] {
  const unproved = place.unproved === undefined ? [] : [unprovedObstacle(place.unproved)];
  const keys = keyObstacles(plan, place);
  // A host that was evicted needs no key named: it may not restore under any.
  const first = place.notPermitted === undefined ? [...unproved, ...keys] : [...keys, ...unproved];
  return [...first, ...hiddenObstacles(plan, place), ...serverObstacles(plan), ...unsavedObstacle(plan, place)];
}

function keyObstacles(plan: Facts, { notPermitted }: JudgedPlace): Obstacle[] {
  const found: Obstacle[] = [];
  if (plan.clusterKey !== null && plan.openableHere === false) {
    const sentence = 'This host has no key for the epochs of this backup.';
    found.push({ sentence, error: notPermitted ?? withoutKey(plan) });
  }
  const { schemaVersion, programSchemaVersion: known, backup } = plan;
  if (schemaVersion > known) {
    const sentence = `The backup has schema ${schemaVersion}; this program knows up to ${known}. Use version ${backup.productVersion} or newer.`;
    found.push({ sentence, error: newerSchema(backup, known) });
  }
  return found;
}

function withoutKey({ backup, openers }: Facts): EnclaveManagerError {
  const names = openers.map(({ name }) => name).join(', ');
  const hint = names === '' ? 'No host that is known here has it.' : `These hosts have it: ${names}.`;
  return new EnclaveManagerError('no-key', `this host has no key for the epochs of backup ${backup.id}`, { hint });
}

function hiddenObstacles(
  { highestSequenceSeen }: Facts,
  { location, newestSequence: newest, accepted }: JudgedPlace,
): Obstacle[] {
  const shown = { where: location, newest, remembered: highestSequenceSeen ?? 0 };
  const error = missingBackups(shown, accepted, restoreWithoutThem);
  if (error === undefined) return [];
  const isRemembered = highestSequenceSeen !== null && newest < highestSequenceSeen;
  const sentence = isRemembered
    ? `This host has seen sequence ${highestSequenceSeen}; the newest here is ${newest}: newer backups were deleted or hidden.`
    : asSentence(error.message);
  return [{ sentence, error }];
}

/** Too little space is no obstacle: what is needed is an estimate, and a restore that runs out of space ends with the old data serving. */
function serverObstacles({ server, clusterId }: Facts): Obstacle[] {
  if (server === null) return [];
  const found = foreignObstacle(server, clusterId);
  for (const sentence of server.missingPrivileges) {
    const message = `the database server ${server.location} would refuse it: ${withoutPeriod(sentence)}`;
    found.push(obstacle(sentence, 'database-unreachable', message, 'See what the role lacks: database status.'));
  }
  return found;
}

function unsavedObstacle({ server }: Facts, { safetyBackup }: JudgedPlace): Obstacle[] {
  const live = server?.live;
  if (!safetyBackup || live?.content !== 'rows') return [];
  const error = rowsWithoutCluster(live.name);
  return [{ sentence: `${asSentence(error.message)} ${error.hint}`, error }];
}

function foreignObstacle({ live }: PlannedServer, clusterId: string): Obstacle[] {
  if (live === null || live.clusterId === null || live.clusterId === clusterId) return [];
  return [
    obstacle(
      `The database "${live.name}" belongs to another cluster, ${live.clusterId}.`,
      'repository-foreign',
      `the database "${live.name}" belongs to cluster ${live.clusterId}, the backup to cluster ${clusterId}`,
      'Restore it on a server, or into a database, of its own: ENCLAVE_MANAGER_DATABASE_URL.',
    ),
  ];
}

const obstacle = (sentence: string, code: EnclaveManagerError['code'], message: string, hint: string): Obstacle => ({
  sentence,
  error: new EnclaveManagerError(code, message, { hint }),
});

function unprovedObstacle(error: EnclaveManagerError): Obstacle {
  const { code, message, hint } = error;
  const noKey = code === 'no-key' ? `This host cannot open it: ${withoutPeriod(message)}.` : asSentence(message);
  const sentence =
    code === 'sealing-unavailable' ? `Whether this host opens it is ${unknownBecause({ message })}.` : noKey;
  return { sentence: `${sentence} ${withoutPeriod(hint)}.`, error };
}

export const asSentence = (message: string): string =>
  `${message.charAt(0).toUpperCase()}${withoutPeriod(message).slice(1)}.`;
