import { join } from 'node:path';
import { endBench, prepareBench, run, source } from './bench.ts';
import { readCreated } from './changes.ts';
import type { Row } from './result.ts';
import { spread } from './statistics.ts';
import { basePlace, makeBaselines } from './steps.ts';

/** About 0.1, 1, 4 and 8 GB. */
const scales = [0.045, 0.45, 1.8, 3.6];

/** The most memory of our process for a backup, a verification and a restore of each size. */
export async function measureMemory(directory: string, say: (line: string) => void): Promise<Row[]> {
  const rows: Row[] = [];
  for (const scale of scales) {
    const bench = await prepareBench(join(directory, `memory-${scale}`), { scale, storageRounds: 0, say });
    try {
      const backup = await makeBaselines(bench, { peers: false });
      const verify = await run(bench, ['backup', 'verify', 'latest'], basePlace(bench));
      await bench.server.query('postgres', `DROP DATABASE ${source} WITH (FORCE)`);
      const restore = await run(bench, ['restore', 'run', 'latest'], basePlace(bench));
      const peaks = [backup, verify, restore].map(({ peakBytes }) => peakBytes / 1e6);
      const size = (readCreated(backup.stdout).logicalBytes / 1e9).toFixed(1);
      const work = `memory of backup, verify and restore of ${size} GB`;
      rows.push({ work, measured: spread(peaks), unit: 'MB', target: 350, stretch: 200 });
      say(`${work}: ${peaks.map(Math.round).join(', ')} MB`);
    } finally {
      await endBench(bench);
    }
  }
  return rows;
}
