import { type Change, readCreated } from './changes.ts';
import type { Measurement } from './measure.ts';
import type { Row } from './result.ts';
import type { Rounds } from './rounds.ts';
import { ratios, spread } from './statistics.ts';
import { ourSteps, type StepName } from './steps.ts';

const wall = ({ wallMs }: Measurement): number => wallMs;
const streaming = ({ phases }: Measurement): number =>
  phases.filter(({ name }) => name === 'reading rows').reduce((sum, { durationMs }) => sum + durationMs, 0);

/** The promises that hold within a round; those whose peer was missing are left out. */
export function roundRows(rounds: Rounds): Row[] {
  const rows: Row[] = [];
  const of = (name: StepName): readonly Measurement[] => rounds.get(name) ?? [];
  const compare = (
    work: string,
    ours: readonly number[],
    peer: readonly number[],
    limits: { readonly target?: number; readonly stretch?: number } = {},
  ): void => {
    if (ours.length > 0 && ours.length === peer.length)
      rows.push({ work, measured: ratios(ours, peer), unit: 'ratio', ...limits });
  };
  const backup = of('backup');
  const dump = of('pg_dump').map(wall);
  const streamed = backup.map(streaming);
  compare('streaming phase of a full backup, against `pg_dump`', streamed, dump, { target: 1.15, stretch: 1 });
  compare('whole `backup create`, against `pg_dump`', backup.map(wall), dump, { target: 1.6, stretch: 1.3 });
  const age = of('pg_dump | zstd | age').map(wall);
  compare('whole `backup create`, against `pg_dump | zstd | age`', backup.map(wall), age, { target: 1, stretch: 0.8 });
  compare('whole `backup create`, against restic', backup.map(wall), of('pg_dump | restic, first').map(wall));
  const again = of('backup, unchanged').map(wall);
  compare('nothing changed, against the drain', again, of('drain').map(wall), { target: 1.35, stretch: 1.2 });
  compare('nothing changed, against restic', again, of('pg_dump | restic, unchanged').map(wall));
  const restore = of('restore').map(wall);
  const dumpRestored = of('pg_restore').map(wall);
  compare('restore with indexes, against `pg_restore -j2`', restore, dumpRestored, { target: 1, stretch: 0.9 });
  const proved = of('drill').map((drill, round) => drill.wallMs + (backup[round]?.wallMs ?? 0));
  if (backup.length > 0) compare('backup + drill, against restore', proved, restore, { target: 2.5, stretch: 2 });
  compare('streaming phase to S3, against `pg_dump`', of('backup to S3').map(streaming), dump);
  compare('whole `backup create` to S3, against `pg_dump`', of('backup to S3').map(wall), dump);
  const stored = of('backup, unchanged').map(({ stdout }) => readCreated(stdout).newBytes);
  if (stored.length > 0)
    rows.push({ work: 'nothing changed: new bytes', measured: spread(stored), unit: 'bytes', target: 0 });
  return [...rows, ...memoryRows(rounds)];
}

function memoryRows(rounds: Rounds): Row[] {
  const peaks = ourSteps.flatMap((name) => (rounds.get(name) ?? []).map(({ peakBytes }) => peakBytes / 1e6));
  if (peaks.length === 0) return [];
  const work = 'memory of our process, over all of the above';
  return [{ work, measured: spread([Math.max(...peaks)]), unit: 'MB', target: 350, stretch: 200 }];
}

export function changeRows(changes: readonly Change[]): Row[] {
  return changes.flatMap(({ what, rows, newBytes, totalBytes }): Row[] => {
    const percent = spread([(100 * newBytes) / totalBytes]);
    const count = rows.toLocaleString('en');
    if (what === 'contiguous')
      return [
        {
          work: 'new bytes after 1 % of the events, in one stretch, changed',
          measured: percent,
          unit: 'percent',
          target: 1.5,
          stretch: 1,
        },
      ];
    if (what === 'scattered')
      return [
        { work: `new bytes after ${count} events, one in a thousand, changed`, measured: percent, unit: 'percent' },
      ];
    if (what === 'appended')
      return [
        { work: `new bytes for each of ${count} appended events`, measured: spread([newBytes / rows]), unit: 'bytes' },
      ];
    return [];
  });
}
