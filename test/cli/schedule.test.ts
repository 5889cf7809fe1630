import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { runCommand, startCommand } from '../fixtures/command.ts';
import { temporaryDirectory } from '../fixtures/host.ts';
import { killAll } from '../start-stop/manager.ts';

interface ScheduleDocument {
  readonly schedule: string;
  readonly nextDue: string;
  readonly overdue: boolean;
  /** Newest first. */
  readonly history: readonly { readonly outcome: string; readonly beganAt: string }[];
}

const minuteMs = 60_000;
const minuteAfter = (time: number): string => new Date((Math.floor(time / minuteMs) + 1) * minuteMs).toISOString();

it('a running manager takes its backup at the minute that the schedule names', { timeout: 120_000 }, async () => {
  const dataDirectory = join(temporaryDirectory(), 'data');
  onTestFinished(() => killAll(dataDirectory));
  const env = { ENCLAVE_MANAGER_BACKUP_SCHEDULE: '* * * * *', ENCLAVE_MANAGER_DRILL_SCHEDULE: '' };
  const readBackups = async (): Promise<ScheduleDocument> => {
    const { stdout } = await runCommand(['status', '--json'], { dataDirectory, env });
    return (JSON.parse(stdout) as { schedules: { backup: ScheduleDocument } }).schedules.backup;
  };
  const serve = startCommand(['serve'], { dataDirectory, env });
  await serve.saw(/Stop with Ctrl-C/);
  const first = await readBackups();
  const firstAt = Date.parse(first.history.at(-1)!.beganAt);
  expect(first).toMatchObject({ schedule: '* * * * *', overdue: false });
  expect(Date.parse(first.nextDue)).toBeGreaterThan(firstAt);

  const [, logged] = await serve.saw(/^(\S+Z) backup \S+, sequence 2: \d+ rows/m);

  const due = first.nextDue;
  const after = await readBackups();
  const second = after.history.at(-2)!;
  expect(second).toMatchObject({ outcome: 'succeeded', message: null });
  const lateMs = Date.parse(second.beganAt) - Date.parse(due);
  expect(lateMs).toBeGreaterThanOrEqual(0);
  expect(lateMs).toBeLessThan(10_000);
  expect(Date.parse(logged!)).toBeGreaterThanOrEqual(Date.parse(second.beganAt));
  expect(after).toMatchObject({ nextDue: minuteAfter(Date.parse(after.history[0]!.beganAt)), overdue: false });
  serve.child.kill('SIGTERM');
  expect(await serve.ended).toMatchObject({ exitCode: 0 });
});
