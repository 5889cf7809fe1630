import { beforeAll, describe, expect, it, vi } from 'vitest';
import type { CrashPoint } from '#model/crash-point.ts';
import { beforePrefix, stagingPrefix } from '#model/restore-names.ts';
import { runCommand, runJson } from '../fixtures/command.ts';
import { copyDataDirectory, withDatabaseOf } from '../fixtures/data-directory.ts';
import { dumpDatabase } from '../fixtures/dump.ts';
import { crash, crashTestMs, listBackups, prepare, reached, serveWhile, type Prepared } from './crashing.ts';

vi.setConfig({ testTimeout: crashTestMs, hookTimeout: crashTestMs });

/** With the embedded server, which is started anew after each kill; every point is killed at in `another-host.test.ts`. */
const points: readonly CrashPoint[] = ['restore.chunk-loaded', 'restore.prepared', 'restore.swapped'];

describe('a process killed while it restores', () => {
  let prepared: Prepared;

  beforeAll(async () => {
    prepared = await prepare();
  });

  it.each(points)('leaves the old or the new database whole after %s, and the next restore works', async (point) => {
    const { backupId, backedUp, changed } = prepared;
    const dataDirectory = copyDataDirectory(prepared.dataDirectory);
    await crash(['restore', 'run', backupId, '--yes'], dataDirectory, point);

    const swapped = reached(point, 'restore.swapped');
    expect(await withDatabaseOf(dataDirectory, dumpDatabase)).toEqual(swapped ? backedUp : changed);
    await serveWhile(dataDirectory, async () => {
      await runJson(['restore', 'run', backupId, '--yes'], { dataDirectory });
      expect(await runCommand(['restore', 'cleanup', '--yes'], { dataDirectory })).toMatchObject({ exitCode: 0 });
    });

    await withDatabaseOf(dataDirectory, async (database, server) => {
      expect(await dumpDatabase(database)).toEqual(backedUp);
      expect(await server.databaseNames(stagingPrefix(server.liveName))).toEqual([]);
      expect(await server.databaseNames(beforePrefix(server.liveName))).toEqual([]);
    });
    const [newest] = (await listBackups(dataDirectory)).filter(({ kind }) => kind !== 'safety');
    expect(newest).toMatchObject({ id: backupId });
  });
});
