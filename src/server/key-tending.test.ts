import { beforeEach, describe, expect, it, vi } from 'vitest';
import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { ready } from '#model/readiness.ts';
import type { OperationContext } from '#operations/context.ts';
import { openCluster } from '#operations/open-cluster.ts';
import { tendKeys } from '#operations/tend-keys.ts';
import { readKeyMark } from '#store/keyring-documents.ts';
import { Gate } from './gate.ts';
import { runKeyTending } from './key-tending.ts';
import { SteppingClock } from './stepping-clock.fixture.ts';

vi.mock('#operations/open-cluster.ts');
vi.mock('#operations/tend-keys.ts');
vi.mock('#store/keyring-documents.ts');

let mark: string;
let logged: string[];
let refused: string[];
const close = vi.fn<() => Promise<void>>();

async function runFor(lengthMs: number, { isOpen = true } = {}): Promise<void> {
  const clock = new SteppingClock('2026-11-22T20:35:47Z', lengthMs);
  const gate = new Gate(clock);
  if (isOpen) gate.open(ready, Infinity);
  const context = { clock, signal: clock.signal } as unknown as OperationContext;
  const [log, refuse] = [logged, refused].map((texts) => (text: string) => void texts.push(text));
  const database = { queries: {} } as never;
  await runKeyTending(context, { host: {} as never, database, gate, log: log!, refuse: refuse! });
}

beforeEach(() => {
  vi.resetAllMocks();
  [mark, logged, refused] = ['1 1', [], []];
  vi.mocked(readKeyMark).mockImplementation(async () => mark);
  vi.mocked(openCluster).mockImplementation(async () => ({ database: { close } }) as never);
});

describe('tending the keys', () => {
  it('opens them at the start, when they changed, and now and then', async () => {
    vi.mocked(tendKeys).mockImplementationOnce(async () => {
      mark = '2 2';
      return {} as never;
    });
    await runFor(60_000);
    expect(tendKeys).toHaveBeenCalledTimes(2);
    expect(close).toHaveBeenCalledTimes(2);
    vi.mocked(tendKeys).mockClear();
    await runFor(601_000);
    expect(tendKeys).toHaveBeenCalledTimes(3);
  });

  it('leaves it to whoever holds the lease, without a word, and tries again', async () => {
    vi.mocked(tendKeys).mockRejectedValueOnce(new EnclaveManagerError('lease-held', 'a backup runs'));
    await runFor(10_000);
    expect([vi.mocked(tendKeys).mock.calls.length, logged, refused]).toEqual([2, [], []]);
  });

  it('says why it could not, and tries again', async () => {
    vi.mocked(tendKeys).mockRejectedValueOnce(new EnclaveManagerError('repository-unreachable', 'it is gone'));
    await runFor(30_000);
    expect(logged).toEqual(['the keys are not all brought forward: it is gone']);
    expect(tendKeys).toHaveBeenCalledTimes(2);
  });

  it('refuses to serve on a host that was evicted', async () => {
    vi.mocked(openCluster).mockRejectedValue(
      new EnclaveManagerError('not-permitted', 'no member.', { hint: 'Enrol.' }),
    );
    await runFor(5_000);
    expect(refused).toEqual(['no member. Enrol. Then start this manager again.']);
  });

  it('touches nothing during a maintenance', async () => {
    await runFor(60_000, { isOpen: false });
    expect(openCluster).not.toHaveBeenCalled();
  });
});
