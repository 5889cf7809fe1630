import { z } from 'zod';
import { formatCount } from '#cli/output/units.ts';
import { show, type Stage, timed } from '../stage.ts';
import type { TakenBackup } from './back-up.ts';

const restoreSchema = z.object({ restoreId: z.string(), backupId: z.string(), rows: z.int() });

export type FinishedRestore = z.infer<typeof restoreSchema>;

export async function restoreOnWest(stage: Stage, newest: TakenBackup): Promise<FinishedRestore> {
  const { narrator, west, steps } = stage;
  narrator.scene('Restore on an enrolled host');
  narrator.say('The fingerprint of the cluster key comes from the recovery line.');
  const words = ['restore', 'run', 'latest', '--yes', '--cluster-key', newest.clusterKey];
  const { result, durationMs } = await show(stage, west, words);
  const restored = restoreSchema.parse(result);
  if (restored.backupId !== newest.id) throw new Error(`backup ${restored.backupId} was restored, not ${newest.id}`);
  steps.push({ what: 'Restore', durationMs, result: `${formatCount(restored.rows)} rows into a new PostgreSQL` });
  await serveAgain(stage);
  return restored;
}

async function serveAgain({ narrator, west, steps }: Stage): Promise<void> {
  narrator.say('The manager starts on west-1 and finds its cluster.');
  narrator.command(west.name, 'serve');
  const { outcome, durationMs } = await timed(() => west.serve());
  const { address, status } = outcome;
  const { ok } = await fetch(`${address}/readyz`);
  if (!ok) throw new Error(`${address}/readyz does not say that the restored manager is ready`);
  narrator.output(`up and ready at ${address}\ncluster ${status.clusterId}\nkey ${status.clusterKey}`);
  steps.push({ what: 'Manager up again', durationMs, result: 'in the other site' });
}
