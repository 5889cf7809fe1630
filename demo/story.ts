import { plainStyle } from '#cli/output/style.ts';
import { formatTable } from '#cli/output/table.ts';
import { formatDuration } from '#cli/output/units.ts';
import { backUp, backUpChange } from './scenes/back-up.ts';
import { compareTables, rememberTables } from './scenes/compare-tables.ts';
import { destroy } from './scenes/destroy.ts';
import { enrolThreeHosts } from './scenes/enrol-three-hosts.ts';
import { fillDatabase } from './scenes/fill-database.ts';
import { refuseStranger } from './scenes/refuse-stranger.ts';
import { restoreOnWest } from './scenes/restore-on-west.ts';
import type { Stage } from './stage.ts';

/** The circle: back up, destroy, restore, compare, refuse. Throws when anything is not as it must be. */
export async function tellStory(stage: Stage): Promise<void> {
  introduce(stage);
  await enrolThreeHosts(stage);
  await fillDatabase(stage);
  const full = await backUp(stage);
  const newest = await backUpChange(stage, full);
  const before = await rememberTables(stage);
  await destroy(stage);
  const restored = await restoreOnWest(stage, newest);
  await compareTables(stage, before, restored);
  await refuseStranger(stage, newest);
  sumUp(stage);
}

function introduce({ narrator, directory }: Stage): void {
  narrator.title('Enclave Manager: back up, destroy, restore, compare');
  narrator.say(
    `Three hosts in two sites share one cluster. It is backed up, its database is destroyed, another host restores it,
    and every row is compared. All of it is real and happens on this machine, in ${directory}.`,
  );
  narrator.say(
    `A line after $ is a command that runs as a process of its own (npx enclave-manager); below it stands what it prints.
    Each host has a data directory and a key file: the file stands for its hardware.`,
  );
}

function sumUp({ narrator, steps }: Stage): void {
  narrator.scene('In short');
  const table = formatTable(
    [
      { title: 'STEP', cell: ({ what }) => what },
      { title: 'TOOK', align: 'right', cell: ({ durationMs }) => formatDuration(durationMs) },
      { title: 'RESULT', cell: ({ result }) => result },
    ],
    steps,
    plainStyle,
  );
  narrator.output(`\n${table}`);
  narrator.say('The database was lost, and every row is back. Only an enrolled host could do it.');
}
