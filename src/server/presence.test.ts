import { beforeEach, describe, expect, it, vi } from 'vitest';
import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { readCluster } from '#store/cluster.ts';
import { hasImportMarker } from '#store/import-marker.ts';
import { readLifeMark } from '#store/life-seal.ts';
import { readMaintenance } from '#store/maintenance.ts';
import { acknowledgeMaintenance, heartbeat, registerServer, removeServer } from '#store/servers.ts';
import { Gate } from './gate.ts';
import { Presence } from './presence.ts';
import { SteppingClock } from './stepping-clock.fixture.ts';

vi.mock('#store/cluster.ts');
vi.mock('#store/import-marker.ts');
vi.mock('#store/life-seal.ts');
vi.mock('#store/maintenance.ts');
vi.mock('#store/servers.ts');

const registration = { serverId: 'server-1' } as never;
const maintenance = { maintenanceId: 'm-1', reason: 'restore', begunBy: 'somebody' } as never;

let gate: Gate;
let logged: string[];
let presence: Presence;
let clock: SteppingClock;
let mayServe: ReturnType<typeof vi.fn<() => Promise<boolean>>>;

const liveIncarnation = (number: number): void =>
  void vi.mocked(readCluster).mockResolvedValue({ incarnation: { number, random: '0'.repeat(16) } } as never);

beforeEach(() => {
  vi.resetAllMocks();
  liveIncarnation(1);
  vi.mocked(heartbeat).mockResolvedValue(true);
  vi.mocked(readLifeMark).mockResolvedValue('first');
  mayServe = vi.fn<() => Promise<boolean>>().mockResolvedValue(true);
  [logged, clock] = [[], new SteppingClock('2026-11-22T20:35:47Z', 60_000)];
  gate = new Gate(clock);
  const database = { queries: {} } as never;
  const log = (message: string) => void logged.push(message);
  presence = new Presence({ clock, database, gate, registration, mayServe, log });
});

describe('Presence', () => {
  it('registers, serves, and says every five seconds that it is there', async () => {
    await presence.run(clock.signal);
    expect(gate.readiness).toMatchObject({ ready: true });
    expect(registerServer).toHaveBeenCalledTimes(1);
    expect(heartbeat).toHaveBeenCalledTimes(11);
    expect(logged).toEqual([]);
  });

  it('registers again where its registration has expired', async () => {
    await presence.look();
    vi.mocked(heartbeat).mockResolvedValue(false);
    await clock.sleep(5_000);
    await presence.look();
    expect(registerServer).toHaveBeenCalledTimes(2);
  });

  it('stays out once it was refused, and tells so once', async () => {
    const onOut = vi.fn<() => void>();
    const log = (message: string) => void logged.push(message);
    presence = new Presence({ clock, database: { queries: {} } as never, gate, registration, mayServe, log, onOut });
    await presence.look();
    presence.refuse('evicted');
    await presence.look();
    await presence.look();
    expect([gate.isOpen, logged, onOut.mock.calls.length]).toEqual([false, ['evicted'], 1]);
    expect(removeServer).toHaveBeenCalledWith({}, 'server-1');
  });

  it('serves no database whose life is sealed by nobody, looks once, and serves again when that changed', async () => {
    await presence.look();
    vi.mocked(readLifeMark).mockResolvedValue('none');
    mayServe.mockResolvedValue(false);
    await presence.look();
    await presence.look();
    expect([gate.isOpen, mayServe.mock.calls.length]).toEqual([false, 2]);
    expect(logged).toEqual([expect.stringContaining('nothing proves that the live database')]);
    vi.mocked(readLifeMark).mockResolvedValue('accepted');
    mayServe.mockResolvedValue(true);
    await presence.look();
    expect([gate.isOpen, mayServe.mock.calls.length]).toEqual([true, 3]);
  });

  it('acknowledges a maintenance once its work has ended, stays paused, and serves again after it', async () => {
    await presence.look();
    vi.mocked(readMaintenance).mockResolvedValue(maintenance);
    const work = gate.work(clock.signal, async (signal) => {
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      expect(acknowledgeMaintenance).not.toHaveBeenCalled();
    });
    await presence.look();
    await work;
    await presence.look();
    expect(acknowledgeMaintenance).toHaveBeenCalledExactlyOnceWith({}, 'server-1', 'm-1');
    expect(gate.isOpen).toBe(false);
    expect(gate.readiness).toMatchObject({ ready: false, reasons: ['paused for a restore by somebody'] });
    vi.mocked(readMaintenance).mockResolvedValue(undefined);
    await presence.look();
    expect(gate.isOpen).toBe(true);
    expect(logged).toEqual(['paused for a restore by somebody', 'the maintenance is over; serving again']);
  });

  it('registers anew when another database serves under the name', async () => {
    await presence.look();
    liveIncarnation(2);
    await presence.look();
    expect(registerServer).toHaveBeenCalledTimes(2);
    expect(logged).toEqual(['another database serves now: incarnation 2']);
  });

  it('ends the work of its former life before it touches another database that serves now', async () => {
    await presence.look();
    const work = gate.work(clock.signal, async (signal) => {
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      expect(registerServer).toHaveBeenCalledTimes(1);
    });
    liveIncarnation(2);
    await presence.look();
    await work;
    expect(registerServer).toHaveBeenCalledTimes(2);
    expect(gate.isOpen).toBe(true);
  });

  it('ends its work where its registration ran out, whether or not the database answers', async () => {
    for (const answers of [true, false]) {
      await presence.look();
      const work = gate.work(
        clock.signal,
        (signal) => new Promise((resolve) => signal.addEventListener('abort', resolve)),
      );
      if (!answers) vi.mocked(readCluster).mockRejectedValue(new EnclaveManagerError('database-unreachable', 'gone'));
      await clock.sleep(15_000);
      await presence.look();
      expect(await work).toBeInstanceOf(Event);
      expect(gate.isOpen).toBe(answers);
    }
  });

  it('stops serving when an export is replayed under it, says so once, and serves again when it is finished', async () => {
    await presence.look();
    vi.mocked(hasImportMarker).mockResolvedValue(true);
    vi.mocked(readCluster).mockRejectedValue(new Error('there is no table yet'));
    await presence.look();
    await presence.look();
    expect(gate.isOpen).toBe(false);
    expect(gate.readiness.reasons).toEqual([expect.stringContaining('is not checked yet')]);
    expect(logged).toEqual([expect.stringContaining('is not checked yet')]);
    vi.mocked(hasImportMarker).mockResolvedValue(false);
    liveIncarnation(2);
    await presence.look();
    expect(gate.isOpen).toBe(true);
    expect(registerServer).toHaveBeenCalledTimes(2);
  });

  it('says once that the database does not answer, is not ready, and says when it answers again', async () => {
    await presence.look();
    vi.mocked(readCluster).mockRejectedValue(new EnclaveManagerError('database-unreachable', 'it is gone'));
    await presence.look();
    await presence.look();
    expect(gate.readiness).toMatchObject({ ready: false, reasons: ['it is gone'] });
    liveIncarnation(1);
    await presence.look();
    expect(gate.readiness).toMatchObject({ ready: true });
    expect(logged).toEqual(['it is gone', 'the database answers again']);
  });

  it('leaves, also where the database is gone already', async () => {
    await presence.leave();
    expect(removeServer).toHaveBeenCalledExactlyOnceWith({}, 'server-1');
    vi.mocked(removeServer).mockRejectedValue(new EnclaveManagerError('database-unreachable', 'it is gone'));
    await expect(presence.leave()).resolves.toBeUndefined();
  });
});
