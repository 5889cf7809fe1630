import { z } from 'zod';
import { type Bench, run, source } from './bench.ts';
import { appendEvents } from './dataset.ts';
import { basePlace } from './steps.ts';

export interface Change {
  readonly what: string;
  /** How many rows were added or changed. */
  readonly rows: number;
  readonly newBytes: number;
  readonly newChunks: number;
  readonly totalBytes: number;
  readonly wallMs: number;
}

const createdSchema = z.object({
  newBytes: z.int(),
  newChunks: z.int(),
  totalBytes: z.int(),
  logicalBytes: z.int(),
  rows: z.int(),
});
export const readCreated = (stdout: string): z.infer<typeof createdSchema> => createdSchema.parse(JSON.parse(stdout));

/** What a backup stores after a change, each on top of the one before. The first has nothing to store. */
export async function measureChanges(bench: Bench): Promise<Change[]> {
  const [events] = await bench.server.query(source, 'SELECT max(position)::float8 AS count FROM audit_events');
  const count = Number(events!['count']);
  const part = (fraction: number): number => Math.max(1, Math.round(count * fraction));
  const begin = Math.round(count * 0.4);
  const contiguous = `position > ${begin} AND position <= ${begin + part(0.01)}`;
  const changes: Change[] = [await measureChange(bench, { what: 'nothing', rows: 0, sql: 'SELECT 1' })];
  changes.push(
    await measureChange(bench, {
      what: 'contiguous',
      rows: part(0.01),
      sql: `UPDATE audit_events SET details = jsonb_set(details, '{outcome}', '"changed"') WHERE ${contiguous}`,
    }),
  );
  for (const added of [part(0.0002), part(0.002), part(0.02)])
    changes.push(await measureChange(bench, { what: 'appended', rows: added, sql: appendEvents(added) }));
  changes.push(
    await measureChange(bench, {
      what: 'scattered',
      rows: part(0.001),
      sql: `UPDATE audit_events SET details = jsonb_set(details, '{outcome}', '"scattered"') WHERE position % 1000 = 7 AND position <= ${count}`,
    }),
  );
  return changes;
}

async function measureChange(
  bench: Bench,
  { what, rows, sql }: { readonly what: string; readonly rows: number; readonly sql: string },
): Promise<Change> {
  await bench.server.query(source, sql);
  const { stdout, wallMs } = await run(bench, ['backup', 'create'], basePlace(bench));
  const { newBytes, newChunks, totalBytes } = readCreated(stdout);
  bench.say(`after ${what} (${rows} rows): ${newBytes} new bytes in ${newChunks} chunks`);
  return { what, rows, newBytes, newChunks, totalBytes, wallMs };
}
