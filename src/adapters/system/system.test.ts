import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { systemClock } from './clock.ts';
import { openCrashPoints } from './crash-points.ts';
import { systemRandomness } from './randomness.ts';

describe('the clock', () => {
  it('sleeps, and wakes with the reason of the signal', async () => {
    const begun = systemClock.monotonicMs();
    await systemClock.sleep(0);
    await systemClock.sleep(20);
    expect(systemClock.monotonicMs() - begun).toBeGreaterThanOrEqual(19);
    const stop = new AbortController();
    const sleeping = systemClock.sleep(60_000, stop.signal);
    stop.abort(new RangeError('mine'));
    await expect(sleeping).rejects.toThrow(new RangeError('mine'));
    await expect(systemClock.sleep(0, stop.signal)).rejects.toThrow(new RangeError('mine'));
  });

  it('does not wake at once from a sleep longer than a timer can be', async () => {
    const stop = new AbortController();
    const sleeping = systemClock.sleep(2 ** 40, stop.signal);
    setTimeout(() => stop.abort(new RangeError('still asleep')), 20);
    await expect(sleeping).rejects.toThrow('still asleep');
  });
});

it('randomness has the length asked for and does not repeat', () => {
  const [one, two] = [systemRandomness.bytes(32), systemRandomness.bytes(32)];
  expect([one.length, one.equals(two)]).toEqual([32, false]);
});

describe('crash points', () => {
  it('write down each point that was reached, once', () => {
    const directory = mkdtempSync(join(tmpdir(), 'enclave-manager-crash-'));
    onTestFinished(() => rmSync(directory, { recursive: true }));
    const reachedFile = join(directory, 'reached');
    const points = openCrashPoints({ reachedFile });
    for (const point of ['backup.counted', 'backup.chunk-stored', 'backup.counted'] as const) points.reach(point);
    expect(readFileSync(reachedFile, 'utf8')).toBe('backup.counted\nbackup.chunk-stored\n');
  });

  it('kill the process at the named one, the given time it is reached', () => {
    const program = `
      import { openCrashPoints } from ${JSON.stringify(join(import.meta.dirname, 'crash-points.ts'))};
      const points = openCrashPoints({ killAt: 'backup.chunk-stored#3' });
      for (let n = 1; n < 9; n += 1) { process.stdout.write(String(n)); points.reach('backup.counted'); points.reach('backup.chunk-stored'); }`;
    const result = spawnSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' });
    expect([result.signal, result.stdout]).toEqual(['SIGKILL', '123']);
  });

  it('refuse a name that is none, and do nothing without one', () => {
    for (const killAt of ['backup.nothing', 'backup.counted#0', 'backup.counted#x', '']) {
      expect(() => openCrashPoints({ killAt })).toThrow(expect.objectContaining({ code: 'configuration' }) as Error);
    }
    openCrashPoints({}).reach('backup.counted');
  });
});
