import { z } from 'zod';
import { systemClock } from '#adapters/system/clock.ts';
import { systemRandomness } from '#adapters/system/randomness.ts';
import { formatSize } from '#cli/output/units.ts';
import { changeContents } from '../contents.ts';
import { inDatabase, show, type Stage } from '../stage.ts';

const auditEvents = 300;

const backupSchema = z.object({
  id: z.string(),
  clusterKey: z.string(),
  logicalBytes: z.int(),
  newChunks: z.int(),
  newBytes: z.int(),
  totalChunks: z.int(),
});

/** What the scenes after it need of a backup. */
export type TakenBackup = z.infer<typeof backupSchema>;

export async function backUp(stage: Stage): Promise<TakenBackup> {
  const { narrator, east, steps } = stage;
  narrator.scene('A full backup');
  const { result, durationMs } = await show(stage, east, ['backup', 'create']);
  const backup = backupSchema.parse(result);
  narrator.say(
    'Before the backup was listed, its rows were counted a second time by the database, and every new chunk was read back.',
  );
  narrator.say(
    `The recovery line belongs outside the cluster. With it, an empty machine tells the newest backup of this cluster
    from an older or a forged one.`,
  );
  const sizes = `${formatSize(backup.logicalBytes)}, stored as ${formatSize(backup.newBytes)}`;
  steps.push({ what: 'Full backup', durationMs, result: sizes });
  return backup;
}

export async function backUpChange(stage: Stage, full: TakenBackup): Promise<TakenBackup> {
  const { narrator, east, steps } = stage;
  narrator.scene('A working day later');
  await inDatabase(east, async (database, keyring) => {
    await changeContents(database, keyring, { clock: systemClock, randomness: systemRandomness }, { auditEvents });
  });
  narrator.say(
    `Builds were approved, a certificate was revoked, ${auditEvents} events were logged. The next backup stores only
    what is new:`,
  );
  const { result, durationMs } = await show(stage, east, ['backup', 'create']);
  const backup = backupSchema.parse(result);
  const { newChunks, totalChunks, newBytes } = backup;
  const share = `${Math.round((100 * newBytes) / full.newBytes)} %`;
  narrator.say(
    `${newChunks} of ${totalChunks} chunks: ${formatSize(newBytes)} instead of ${formatSize(full.newBytes)}, ${share}
    of the full backup. Restoring it needs no other backup.`,
  );
  steps.push({
    what: 'Incremental backup',
    durationMs,
    result: `${formatSize(newBytes)} new, ${share} of the full one`,
  });
  if (newBytes > full.newBytes / 2) throw new Error(`the incremental backup stored ${share} of the full one`);
  return backup;
}
