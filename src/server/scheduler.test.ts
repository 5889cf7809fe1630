import { beforeEach, describe, expect, it, vi } from 'vitest';
import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { ready } from '#model/readiness.ts';
import { parseSchedule, type Schedule } from '#model/schedule.ts';
import type { OperationContext } from '#operations/context.ts';
import { createBackup } from '#operations/create-backup.ts';
import { openCluster } from '#operations/open-cluster.ts';
import { readCatalog } from '#operations/read-catalog.ts';
import { runDrill } from '#operations/recorded-run.ts';
import { tendKeysIfPossible } from '#operations/tend-keys.ts';
import type { LocalState } from '#ports/local-state.ts';
import { readCluster } from '#store/cluster.ts';
import { listRuns, type Run, type RunKind } from '#store/runs.ts';
import { Gate } from './gate.ts';
import { runScheduler } from './scheduler.ts';
import { SteppingClock } from './stepping-clock.fixture.ts';

vi.mock('#operations/create-backup.ts');
vi.mock('#operations/open-cluster.ts');
vi.mock('#operations/prove-node.ts');
vi.mock('#operations/read-catalog.ts', { spy: true });
vi.mock('#operations/recorded-run.ts');
vi.mock('#operations/tend-keys.ts');
vi.mock('#store/cluster.ts');
vi.mock('#store/runs.ts');

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;

function schedule(text: string): Schedule | undefined {
  const parsed = parseSchedule(text);
  if (!parsed.ok) throw new Error(parsed.problem);
  return parsed.value;
}

const forgetful: LocalState = { read: async () => undefined, update: async (change) => change(undefined) };

/** What stands in for database and repository: runs, newest first. */
let runs: Run[];
let logged: string[];
let clock: SteppingClock;

function record(kind: RunKind, outcome: Run['outcome']): void {
  const at = clock.now();
  const rest = { holder: 'test', cause: 'schedule', backupId: null, error: null, details: {} } as const;
  runs.unshift({ runId: String(runs.length), kind, outcome, beganAt: at, endedAt: at, ...rest });
}

const begun = (kind: RunKind, outcome?: Run['outcome']): string[] =>
  runs
    .filter((run) => run.kind === kind && (outcome === undefined || run.outcome === outcome))
    .map(({ beganAt }) => beganAt.toISOString().slice(0, 16))
    .toReversed();

/** A backup of that minute, read back and never drilled. */
function listed(minute: string): unknown {
  const at = `${minute}:00Z`;
  const incarnation = { number: 1, random: '0'.repeat(16) };
  const times = { startedAt: at, endedAt: at, verified: { oldestReadAt: at } };
  return { entry: { id: 'b', incarnation, authentic: true, kind: 'scheduled', lastDrill: null, ...times } };
}

async function runFor(
  begin: string,
  lengthMs: number,
  more: { readonly backup?: string; readonly drill?: string; readonly prune?: string; readonly gate?: Gate } = {},
): Promise<void> {
  clock = new SteppingClock(begin, lengthMs);
  const gate = more.gate ?? new Gate(new SteppingClock('2026-11-22T20:35:47Z', 10_000));
  if (more.gate === undefined) gate.open(ready, Infinity);
  const context = { clock, signal: clock.signal } as unknown as OperationContext;
  await runScheduler(context, {
    host: {} as never,
    scratchServers: {} as never,
    settings: {
      backupSchedule: schedule(more.backup ?? '0 * * * *'),
      drillSchedule: schedule(more.drill ?? ''),
      pruneSchedule: schedule(more.prune ?? ''),
      verifyPeriodMs: 30 * 24 * hourMs,
    },
    pruning: { policy: {}, graceMs: 24 * hourMs },
    gate,
    log: (message) => void logged.push(message),
  });
}

beforeEach(() => {
  [runs, logged] = [[], []];
  const database = { queries: {}, close: async () => {} };
  vi.mocked(openCluster).mockResolvedValue({ store: {}, keyring: {}, database, localState: forgetful } as never);
  vi.mocked(tendKeysIfPossible).mockImplementation(async (_context, _host, cluster) => cluster);
  vi.mocked(readCatalog).mockImplementation(
    async () => ({ backups: begun('backup', 'succeeded').map(listed), rejected: [] }) as never,
  );
  vi.mocked(readCluster).mockResolvedValue({
    createdAt: new Date('2026-11-01T00:00:00Z'),
    incarnation: { number: 1, random: '0'.repeat(16) },
  } as never);
  vi.mocked(listRuns).mockImplementation(async (_, { kind }) => runs.filter((run) => run.kind === kind));
  vi.mocked(createBackup).mockImplementation(async () => {
    record('backup', 'succeeded');
    return { id: 'b', sequence: runs.length, rows: 0, tables: 0, newChunks: 0, durationMs: 0 } as never;
  });
  vi.mocked(runDrill).mockImplementation(async () => {
    record('drill', 'succeeded');
    return { id: 'b', rows: 0, tables: 0, durationMs: 0 } as never;
  });
});

describe('the scheduler', () => {
  it('runs at the times that the schedule names', async () => {
    await runFor('2026-11-01T00:10:00Z', 3 * hourMs, { backup: '*/30 * * * *' });
    const times = ['00:30', '01:00', '01:30', '02:00', '02:30', '03:00'];
    expect(begun('backup')).toEqual(times.map((time) => `2026-11-01T${time}`));
    expect(logged).toHaveLength(6);
  });

  it('backs up with the keys that a change which was interrupted leads to', async () => {
    const keyring = { keyGeneration: 2 };
    const tended = { store: {}, keyring, database: { queries: {} }, localState: forgetful } as never;
    vi.mocked(tendKeysIfPossible).mockResolvedValue(tended);
    vi.mocked(createBackup).mockClear();
    await runFor('2026-11-01T00:10:00Z', hourMs, { backup: '*/30 * * * *' });
    expect(vi.mocked(createBackup).mock.calls.map(([, cluster]) => cluster)).toEqual([tended, tended]);
  });

  it('answers however many missed runs with one, at once, and then keeps to the schedule', async () => {
    await runFor('2026-11-22T20:35:47Z', hourMs);
    expect(begun('backup')).toEqual(['2026-11-22T20:35', '2026-11-22T21:00']);
  });

  it('backs up at once, and then by the schedule, where the cluster claims to be created next year', async () => {
    const incarnation = { number: 1, random: '0'.repeat(16) };
    vi.mocked(readCluster).mockResolvedValue({ createdAt: new Date('2027-11-22T00:00:00Z'), incarnation } as never);
    await runFor('2026-11-22T20:35:47Z', hourMs);
    expect(begun('backup')).toEqual(['2026-11-22T20:35', '2026-11-22T21:00']);
  });

  it('tries again after a failure, later each time, at most an hour later, and says why', async () => {
    vi.mocked(createBackup).mockImplementation(async () => {
      record('backup', 'failed');
      throw new EnclaveManagerError('no-space', 'no space is left');
    });
    await runFor('2026-11-22T20:00:00Z', 6 * hourMs);
    const times = runs.map(({ beganAt }) => beganAt.getTime()).toReversed();
    const pauses = times.slice(1).map((time, index) => (time - times[index]!) / minuteMs);
    expect(pauses).toEqual([1, 2, 4, 8, 16, 32, 60, 60, 60, 60].slice(0, pauses.length));
    expect(pauses.length).toBeGreaterThanOrEqual(9);
    expect(new Set(logged)).toEqual(new Set([expect.stringMatching(/^no space is left\. Free space/)]));
  });

  it('says nothing while another manager has the lease, looks again every half minute, and leaves it at its success', async () => {
    let tries = 0;
    vi.mocked(createBackup).mockImplementation(async () => {
      tries += 1;
      if (tries === 4) record('backup', 'succeeded');
      throw new EnclaveManagerError('lease-held', 'another operation holds the lease');
    });
    await runFor('2026-11-22T20:30:00Z', 20 * minuteMs);
    expect(tries).toBe(4);
    expect(begun('backup')).toEqual(['2026-11-22T20:31']);
    expect(logged).toEqual([]);
  });

  it('drills although backups fail, and never before there is a backup', async () => {
    vi.mocked(createBackup).mockImplementation(async () => {
      record('backup', 'failed');
      throw new Error('a bug');
    });
    await runFor('2026-11-22T20:30:00Z', hourMs, { drill: '0 * * * *' });
    expect(begun('drill')).toEqual([]);

    vi.mocked(readCatalog).mockResolvedValue({ backups: [listed('2026-11-22T20:00')], rejected: [] } as never);
    await runFor('2026-11-22T21:30:00Z', hourMs, { drill: '0 * * * *' });
    expect(begun('drill')).toEqual(['2026-11-22T21:30', '2026-11-22T22:00']);
  });

  it('does not repeat at once what it did, where neither list nor history shows it', async () => {
    vi.mocked(readCatalog).mockResolvedValue({ backups: [], rejected: [] } as never);
    vi.mocked(listRuns).mockResolvedValue([]);
    await runFor('2026-11-22T20:30:00Z', 2 * hourMs);
    expect(begun('backup')).toEqual(['2026-11-22T20:30', '2026-11-22T21:00', '2026-11-22T22:00']);
  });

  it('runs nothing while the gate is closed', async () => {
    await runFor('2026-11-22T20:30:00Z', hourMs, { gate: new Gate(new SteppingClock('2026-11-22T20:35:47Z', 10_000)) });
    expect(runs).toEqual([]);
    expect(logged).toEqual([]);
  });

  it('runs nothing that has no schedule', async () => {
    await runFor('2026-11-22T20:30:00Z', 48 * hourMs, { backup: '' });
    expect(runs).toEqual([]);
  });

  it('names the commands that decide about a database which the keys have left behind, and no restore over its data', async () => {
    const gate = new Gate(new SteppingClock('2026-11-22T20:35:47Z', 10_000));
    gate.open(ready, Infinity);
    const error = new EnclaveManagerError('import-pending', 'the keys were changed elsewhere', { hint: 'Find out.' });
    vi.mocked(openCluster).mockRejectedValue(error);
    await runFor('2026-11-22T20:30:00Z', 10 * minuteMs, { gate });
    expect(runs).toEqual([]);
    expect(gate.readiness).toMatchObject({
      ready: true,
      reasons: ['the keys were changed elsewhere', 'Find out.'],
      commands: ['enclave-manager database status', 'enclave-manager database accept-import --cluster-key FINGERPRINT'],
    });
  });

  it('goes on when the database does not answer for a while', async () => {
    vi.mocked(openCluster).mockRejectedValueOnce(new EnclaveManagerError('database-unreachable', 'it is gone'));
    await runFor('2026-11-22T20:30:00Z', 10 * minuteMs);
    expect(logged[0]).toMatch(/^it is gone\. /);
    expect(begun('backup')).toEqual(['2026-11-22T20:31']);
  });
});
