import { beforeEach, describe, expect, it, vi } from 'vitest';
import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { ErrorCode } from '#errors/codes.ts';
import type { Host, OperationContext } from '#operations/context.ts';
import { findImportStamp, findLiveStamp } from '#operations/find-import.ts';
import { readLiveMaintenance } from '#operations/live-maintenance.ts';
import { openOrCreateCluster } from '#operations/open-cluster.ts';
import { openWhenRestored, openWhenThere } from './await-cluster.ts';
import { Gate } from './gate.ts';
import { SteppingClock } from './stepping-clock.fixture.ts';

vi.mock('#operations/find-import.ts');
vi.mock('#operations/live-maintenance.ts');
vi.mock('#operations/open-cluster.ts');

let logged: string[];
let clock: SteppingClock;
let gate: Gate;

const context = () => ({ clock, signal: clock.signal }) as unknown as OperationContext;
const parts = (waitAtStart: boolean, kind: 'embedded' | 'external' = 'external') => ({
  configuration: { database: { kind } as never, waitAtStart },
  gate,
  log: (message: string) => void logged.push(message),
});
const refusing = (code: ErrorCode) => async (): Promise<never> => {
  throw new EnclaveManagerError(code, `it is ${code}`, { hint: 'Do that.' });
};

beforeEach(() => {
  vi.resetAllMocks();
  vi.mocked(findImportStamp).mockResolvedValue(undefined);
  vi.mocked(findLiveStamp).mockResolvedValue(undefined);
  vi.mocked(readLiveMaintenance).mockResolvedValue(undefined);
  clock = new SteppingClock('2026-11-22T20:35:47Z', 60_000);
  [logged, gate] = [[], new Gate(clock)];
});

describe('openWhenRestored', () => {
  const host = {} as Host;

  it.each<ErrorCode>(['database-unreachable', 'repository-unreachable', 'sealing-unavailable', 'lease-held'])(
    'waits for what is %s where that is asked for, and says so once',
    async (code) => {
      vi.mocked(openOrCreateCluster).mockImplementationOnce(refusing(code)).mockImplementationOnce(refusing(code));
      vi.mocked(openOrCreateCluster).mockResolvedValueOnce('opened' as never);
      expect(await openWhenRestored(context(), parts(true), host)).toBe('opened');
      expect(logged).toEqual([`it is ${code}. Do that.`]);
      expect(gate.readiness).toMatchObject({ ready: false, reasons: [`it is ${code}`, 'Do that.'], commands: [] });
    },
  );

  it.each<ErrorCode>(['no-key', 'not-permitted'])(
    'names the commands that enrol a host when it is %s',
    async (code) => {
      vi.mocked(openOrCreateCluster)
        .mockImplementationOnce(refusing(code))
        .mockResolvedValueOnce('opened' as never);
      expect(await openWhenRestored(context(), parts(true), host)).toBe('opened');
      expect(gate.readiness.commands).toEqual([
        'enclave-manager node invite',
        'enclave-manager node enrol --token-file -',
      ]);
    },
  );

  it.each<ErrorCode>(['no-key', 'database-unreachable', 'repository-unreachable'])(
    'fails at once with %s where waiting is not asked for',
    async (code) => {
      vi.mocked(openOrCreateCluster).mockImplementation(refusing(code));
      await expect(openWhenRestored(context(), parts(false), host)).rejects.toMatchObject({ code });
      expect(openOrCreateCluster).toHaveBeenCalledTimes(1);
    },
  );

  it.each<ErrorCode>(['repository-foreign', 'version-incompatible', 'forged', 'configuration'])(
    'never waits for what is %s',
    async (code) => {
      vi.mocked(openOrCreateCluster).mockImplementation(refusing(code));
      await expect(openWhenRestored(context(), parts(true), host)).rejects.toMatchObject({ code });
    },
  );

  it('waits beside an external database until it is restored, asked for or not, and not beside an embedded one', async () => {
    vi.mocked(openOrCreateCluster).mockImplementationOnce(refusing('restore-needed'));
    vi.mocked(openOrCreateCluster).mockResolvedValueOnce('opened' as never);
    expect(await openWhenRestored(context(), parts(false), host)).toBe('opened');
    expect(gate.readiness.commands).toContain('enclave-manager restore run latest');
    const commands = ['enclave-manager restore run latest --without-safety-backup'];
    const withCommands = new EnclaveManagerError('restore-needed', 'it holds rows', { commands });
    vi.mocked(openOrCreateCluster).mockRejectedValueOnce(withCommands);
    vi.mocked(openOrCreateCluster).mockResolvedValueOnce('opened' as never);
    expect(await openWhenRestored(context(), parts(false), host)).toBe('opened');
    expect(gate.readiness.commands).toEqual(commands);
    expect(logged.at(-1)).toContain(`Waiting until it is restored: ${commands[0]}`);
    vi.mocked(openOrCreateCluster).mockImplementationOnce(refusing('restore-needed'));
    await expect(openWhenRestored(context(), parts(true, 'embedded'), host)).rejects.toMatchObject({
      code: 'restore-needed',
    });
  });
});

describe('openWhenThere', () => {
  it('waits for the server where that is asked for', async () => {
    const open = vi
      .fn<() => Promise<string>>()
      .mockImplementationOnce(refusing('database-unreachable'))
      .mockResolvedValueOnce('open');
    expect(await openWhenThere(context(), parts(true), open)).toBe('open');
    expect([logged, gate.readiness.retryAfterSeconds]).toEqual([['it is database-unreachable. Do that.'], 2]);
  });

  it('fails where it is not, or where no waiting helps', async () => {
    const open = vi.fn<() => Promise<string>>().mockImplementation(refusing('database-unreachable'));
    await expect(openWhenThere(context(), parts(false), open)).rejects.toMatchObject({ code: 'database-unreachable' });
    open.mockImplementation(refusing('version-incompatible'));
    await expect(openWhenThere(context(), parts(true), open)).rejects.toMatchObject({ code: 'version-incompatible' });
  });

  it('ends when it is told to stop', async () => {
    const open = refusing('database-unreachable');
    await expect(openWhenThere(context(), parts(true), open)).rejects.toThrow('the time of the test is over');
  });
});
