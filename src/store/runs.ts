import type { ErrorCode } from '#errors/codes.ts';
import type { BackupId } from '#model/identifiers.ts';
import { uuidv7 } from '#model/identifiers.ts';
import type { JsonObject } from '#model/json.ts';
import type { Clock } from '#ports/clock.ts';
import type { Randomness } from '#ports/randomness.ts';
import { tablesOf, type Queries, type Tables } from './tables.ts';

export type RunKind = Tables['operation_runs']['kind'];
export type RunCause = Tables['operation_runs']['cause'];
export type RunOutcome = Tables['operation_runs']['outcome'];

/** One run of a backup, drill, verification or prune, failed ones too. */
export interface Run {
  readonly runId: string;
  readonly kind: RunKind;
  readonly cause: RunCause;
  readonly holder: string;
  readonly outcome: RunOutcome;
  readonly backupId: BackupId | null;
  readonly error: { readonly code: string; readonly message: string } | null;
  readonly details: JsonObject;
  readonly beganAt: Date;
  readonly endedAt: Date | null;
}

export interface RunResult {
  readonly outcome: Exclude<RunOutcome, 'running'>;
  readonly backupId?: BackupId;
  readonly error?: { readonly code: ErrorCode; readonly message: string };
  readonly details?: JsonObject;
}

interface RunPorts {
  readonly clock: Clock;
  readonly randomness: Randomness;
}

const keptRunsPerKind = 1000;
const maxMessageCharacters = 2000;

/**
 * Records the beginning and returns the run's id. Runs of the kind that are still `running` did not survive: only one
 * runs at a time, so they become `interrupted`. The oldest beyond 1000 of a kind are forgotten, but not this one: where the
 * clock was set back, all others may be newer by theirs.
 */
export async function recordRunBegin(
  queries: Queries,
  run: { readonly kind: RunKind; readonly cause: RunCause; readonly holder: string; readonly backupId?: BackupId },
  ports: RunPorts,
): Promise<string> {
  const now = ports.clock.now();
  const runId = uuidv7(now, ports.randomness.bytes(10));
  await interruptAbandoned(queries, run.kind, now);
  await tablesOf(queries)
    .insertInto('operation_runs')
    .values({
      run_id: runId,
      kind: run.kind,
      cause: run.cause,
      holder: run.holder,
      outcome: 'running',
      backup_id: run.backupId ?? null,
      details: '{}',
      began_at: now,
    })
    .execute();
  await forgetOldRuns(queries, run.kind, runId);
  return runId;
}

export async function recordRunEnd(
  queries: Queries,
  runId: string,
  result: RunResult,
  ports: { readonly clock: Clock },
): Promise<void> {
  await tablesOf(queries)
    .updateTable('operation_runs')
    .set({
      outcome: result.outcome,
      ...(result.backupId === undefined ? {} : { backup_id: result.backupId }),
      error_code: result.error?.code ?? null,
      error_message: result.error?.message.slice(0, maxMessageCharacters) ?? null,
      details: JSON.stringify(result.details ?? {}),
      ended_at: ports.clock.now(),
    })
    .where('run_id', '=', runId)
    .execute();
}

/** Newest first. */
export async function listRuns(
  queries: Queries,
  filter: {
    readonly kind: RunKind;
    readonly outcome?: RunOutcome;
    readonly cause?: RunCause;
    readonly beganUntil?: Date;
    readonly limit?: number;
  },
): Promise<Run[]> {
  let query = tablesOf(queries).selectFrom('operation_runs').selectAll().where('kind', '=', filter.kind);
  if (filter.outcome !== undefined) query = query.where('outcome', '=', filter.outcome);
  if (filter.cause !== undefined) query = query.where('cause', '=', filter.cause);
  if (filter.beganUntil !== undefined) query = query.where('began_at', '<=', filter.beganUntil);
  const rows = await query
    .orderBy('began_at', 'desc')
    .orderBy('run_id', 'desc')
    .limit(filter.limit ?? 20)
    .execute();
  return rows.map(fromRow);
}

export interface LastRuns {
  /** The newest, whatever became of it. */
  readonly newest: Run | undefined;
  readonly newestSucceeded: Run | undefined;
}

export async function lastRuns(queries: Queries): Promise<Readonly<Record<RunKind, LastRuns>>> {
  return {
    backup: await lastOf(queries, 'backup'),
    drill: await lastOf(queries, 'drill'),
    verify: await lastOf(queries, 'verify'),
    prune: await lastOf(queries, 'prune'),
  };
}

async function lastOf(queries: Queries, kind: RunKind): Promise<LastRuns> {
  const [newest] = await listRuns(queries, { kind, limit: 1 });
  const [newestSucceeded] = await listRuns(queries, { kind, outcome: 'succeeded', limit: 1 });
  return { newest, newestSucceeded };
}

async function interruptAbandoned(queries: Queries, kind: RunKind, now: Date): Promise<void> {
  await tablesOf(queries)
    .updateTable('operation_runs')
    .set({ outcome: 'interrupted', ended_at: now })
    .where('kind', '=', kind)
    .where('outcome', '=', 'running')
    .execute();
}

async function forgetOldRuns(queries: Queries, kind: RunKind, begun: string): Promise<void> {
  const tables = tablesOf(queries);
  const oldest = await tables
    .selectFrom('operation_runs')
    .select('began_at')
    .where('kind', '=', kind)
    .orderBy('began_at', 'desc')
    .offset(keptRunsPerKind)
    .limit(1)
    .executeTakeFirst();
  if (oldest === undefined) return;
  await tables
    .deleteFrom('operation_runs')
    .where('kind', '=', kind)
    .where('began_at', '<=', oldest.began_at)
    .where('run_id', '!=', begun)
    .execute();
}

type RunRow = Omit<Tables['operation_runs'], 'details'> & { details: JsonObject };

function fromRow(row: RunRow): Run {
  return {
    runId: row.run_id,
    kind: row.kind,
    cause: row.cause,
    holder: row.holder,
    outcome: row.outcome,
    backupId: row.backup_id,
    error: row.error_code === null ? null : { code: row.error_code, message: row.error_message ?? '' },
    details: row.details,
    beganAt: row.began_at,
    endedAt: row.ended_at,
  };
}
