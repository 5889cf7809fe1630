import { beforeEach, describe, expect, it, vi } from 'vitest';
import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { ready } from '#model/readiness.ts';
import type { OperationContext } from '#operations/context.ts';
import { admitJoinRequests } from '#operations/admit-node.ts';
import { openCluster } from '#operations/open-cluster.ts';
import { pendingJoinRequests } from '#store/join-requests.ts';
import { acquireLease } from '#store/leases.ts';
import { runAdmission } from './admission.ts';
import { Gate } from './gate.ts';
import { SteppingClock } from './stepping-clock.fixture.ts';

vi.mock('#operations/admit-node.ts');
vi.mock('#operations/open-cluster.ts');
vi.mock('#store/join-requests.ts');
vi.mock('#store/leases.ts');

let waiting: string[];
let logged: string[];
const close = vi.fn<() => Promise<void>>();
const release = vi.fn<() => Promise<void>>();

async function runFor(lengthMs: number, gate = openGate()): Promise<void> {
  const clock = new SteppingClock('2026-11-22T20:35:47Z', lengthMs);
  const context = { clock, signal: clock.signal, crashPoints: { reach: () => {} } } as unknown as OperationContext;
  const database = { queries: {} } as never;
  await runAdmission(context, { host: {} as never, database, gate, log: (message) => void logged.push(message) });
}

function openGate(): Gate {
  const gate = new Gate(new SteppingClock('2026-11-22T20:35:47Z', 10_000));
  gate.open(ready, Infinity);
  return gate;
}

beforeEach(() => {
  vi.resetAllMocks();
  [waiting, logged] = [[], []];
  vi.mocked(pendingJoinRequests).mockImplementation(async () => waiting as never);
  vi.mocked(acquireLease).mockResolvedValue({ lost: new AbortController().signal, release } as never);
  vi.mocked(openCluster).mockImplementation(async () => ({ database: { close } }) as never);
  vi.mocked(admitJoinRequests).mockImplementation(async () => [waiting.shift()!]);
});

describe('admission', () => {
  it('opens no keys as long as nobody asks', async () => {
    await runFor(10_000);
    expect(pendingJoinRequests).toHaveBeenCalledTimes(10);
    expect(openCluster).not.toHaveBeenCalled();
  });

  it('admits those who wait one after another, each with the keyring that the one before has made', async () => {
    waiting = ['node-1', 'node-2', 'node-3'];
    await runFor(1_000);
    expect(logged).toEqual(['enrolled node node-1', 'enrolled node node-2', 'enrolled node node-3']);
    expect(openCluster).toHaveBeenCalledTimes(3);
    expect(close).toHaveBeenCalledTimes(3);
    expect([vi.mocked(acquireLease).mock.calls.length, release.mock.calls.length]).toEqual([1, 1]);
  });

  it('says why nobody can be enrolled, and tries again ten seconds later', async () => {
    waiting = ['node-1'];
    vi.mocked(admitJoinRequests).mockRejectedValueOnce(new EnclaveManagerError('repository-unreachable', 'it is gone'));
    await runFor(11_000);
    expect(logged).toEqual(['no host can be enrolled: it is gone', 'enrolled node node-1']);
    expect([close.mock.calls.length, release.mock.calls.length]).toEqual([2, 2]);
  });

  it('leaves it to another manager that is at it, without a word', async () => {
    waiting = ['node-1'];
    vi.mocked(acquireLease).mockRejectedValue(new EnclaveManagerError('lease-held', 'another one has it'));
    await runFor(10_000);
    expect(acquireLease).toHaveBeenCalledTimes(10);
    expect([waiting, logged]).toEqual([['node-1'], []]);
  });

  it('leaves it to others to say that the database is gone', async () => {
    vi.mocked(pendingJoinRequests).mockRejectedValue(new EnclaveManagerError('database-unreachable', 'it is gone'));
    await runFor(60_000);
    expect(logged).toEqual([]);
    expect(pendingJoinRequests).toHaveBeenCalledTimes(6);
  });

  it('admits nobody during a maintenance', async () => {
    waiting = ['node-1'];
    await runFor(10_000, new Gate(new SteppingClock('2026-11-22T20:35:47Z', 10_000)));
    expect(waiting).toEqual(['node-1']);
  });
});
