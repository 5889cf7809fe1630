import { beforeAll, describe, expect, it, vi } from 'vitest';
import { beforePrefix, stagingPrefix } from '#model/restore-names.ts';
import { runCommand, runJson } from '../fixtures/command.ts';
import { copyDataDirectory, withDatabaseOf } from '../fixtures/data-directory.ts';
import { dumpDatabase } from '../fixtures/dump.ts';
import { crash, crashTestMs, listBackups, pointsOf, prepare, reached, serveWhile, type Prepared } from './crashing.ts';

vi.setConfig({ testTimeout: crashTestMs, hookTimeout: crashTestMs });

describe('a process killed while it restores', () => {
  let prepared: Prepared;

  beforeAll(async () => {
    prepared = await prepare();
  });

  it.each(pointsOf('restore'))(
    'leaves the old or the new database whole after %s, and the next restore works',
    async (point) => {
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
    },
  );
});
