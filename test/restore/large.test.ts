import { sql } from 'kysely';
import { expect, it } from 'vitest';
import { createBackup } from '#operations/create-backup.ts';
import type { Database } from '#ports/database.ts';
import { makeCluster } from '../fixtures/cluster.ts';
import { makeContext } from '../fixtures/host.ts';
import { restoreInto } from '../fixtures/restoring.ts';
import { watchedThreads } from '../fixtures/workers.ts';

/** Number of rows and a digest of all of them, made by the server. */
async function digestSettings({ queries }: Database): Promise<{ rows: number; digest: string }> {
  const { rows } = await sql<{
    rows: number;
    digest: string;
  }>`SELECT count(*) AS rows, md5(string_agg(md5(s::text), '' ORDER BY name)) AS digest FROM settings s`.execute(
    queries,
  );
  return rows[0]!;
}

it('a table of several ranges is shared by several threads, and only what changed is stored again', async () => {
  const { cluster, host } = await makeCluster();
  const { queries } = cluster.database;
  // Rows just too small to be compressed by the server: four a page, 72 MiB of pages.
  await sql`INSERT INTO settings (name, value, updated_at)
    SELECT 'bulk-' || lpad(i::text, 8, '0'), to_jsonb(repeat(md5(i::text), 58)), TIMESTAMPTZ '2026-01-01 00:00:00Z'
      FROM generate_series(1, 37000) AS i`.execute(queries);
  const { startWorker, started } = watchedThreads();
  const context = makeContext({ startWorker, processors: 2 });

  const first = await createBackup(context, cluster, { kind: 'manual' });
  expect(first.logicalBytes).toBeGreaterThan(64 * 1024 * 1024);
  // Two read rows, and the same two read the objects back.
  expect(started).toHaveLength(2);
  await sql`UPDATE settings SET updated_at = now() WHERE name IN ('bulk-00000005', 'bulk-00036000')`.execute(queries);
  const second = await createBackup(context, cluster, { kind: 'manual' });
  expect(second.newChunks).toBeGreaterThanOrEqual(1);
  expect(second.newChunks).toBeLessThan(second.totalChunks / 3);
  const wanted = await digestSettings(cluster.database);

  const restored = await restoreInto(context, host);

  expect(await digestSettings(restored.database)).toEqual(wanted);
  expect(wanted.rows).toBe(37_000);
  expect(started.map(({ threadId }) => threadId)).toEqual(started.map(() => -1));
});
