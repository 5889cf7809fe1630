import { systemClock } from '#adapters/system/clock.ts';
import { systemRandomness } from '#adapters/system/randomness.ts';
import { formatCount } from '#cli/output/units.ts';
import { fillWithContents } from '../contents.ts';
import { digestTables, rowsOf } from '../digests.ts';
import { inDatabase, type Stage, timed } from '../stage.ts';

const auditEvents = 60_000;

export async function fillDatabase({ narrator, east, steps }: Stage): Promise<void> {
  narrator.scene('A year of work');
  const { outcome: tables, durationMs } = await timed(() =>
    inDatabase(east, async (database, keyring) => {
      const ports = { clock: systemClock, randomness: systemRandomness };
      await fillWithContents(database, keyring, ports, { auditEvents });
      return await digestTables(database.queries);
    }),
  );
  const count = (table: string): string => formatCount(tables.find((digest) => digest.table === table)?.rows ?? 0);
  narrator.say(
    `The database now holds ${count('users')} users, ${count('apps')} apps, ${count('builds')} builds,
    ${count('tasks')} tasks, ${count('certificates')} certificates, ${count('ca_keys')} sealed CA keys and
    ${count('audit_events')} audit events, each chained to the one before by its hash.`,
  );
  steps.push({ what: 'Contents made', durationMs, result: `${formatCount(rowsOf(tables))} rows` });
}
