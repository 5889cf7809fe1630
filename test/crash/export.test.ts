import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { findImport } from '#operations/find-import.ts';
import { readCluster } from '#store/cluster.ts';
import { listRestores } from '#store/restores.ts';
import { runCommand } from '../fixtures/command.ts';
import { copyDataDirectory, withDatabaseOf } from '../fixtures/data-directory.ts';
import { dumpDatabase } from '../fixtures/dump.ts';
import { temporaryDirectory } from '../fixtures/host.ts';
import { psql, psqlUnavailable } from '../fixtures/psql.ts';
import { crash, crashTestMs, listBackups, pointsOf, prepare, reached, serveWhile, type Prepared } from './crashing.ts';

vi.setConfig({ testTimeout: crashTestMs, hookTimeout: crashTestMs });

let prepared: Prepared;
let script: string;

beforeAll(async () => {
  prepared = await prepare();
  const { dataDirectory, backupId } = prepared;
  const exported = await runCommand(['backup', 'export', backupId, '--format', 'sql'], { dataDirectory });
  expect(exported.exitCode, exported.stderr).toBe(0);
  script = exported.stdout;
});

describe('a process killed while it exports', () => {
  it.each(pointsOf('export'))('leaves the whole file or none after %s, and the next export works', async (point) => {
    const { dataDirectory, backupId } = prepared;
    const directory = temporaryDirectory();
    const output = join(directory, 'malbork.sql');
    const words = ['backup', 'export', backupId, '--format', 'sql', '--output', output];
    await crash(words, dataDirectory, point);
    const published = reached(point, 'export.published');
    expect(existsSync(output)).toBe(published);
    const again = await runCommand(words, { dataDirectory });
    expect(again.exitCode, again.stderr).toBe(published ? 2 : 0);
    expect(readFileSync(output, 'utf8')).toBe(script);
    // What the killed one left is hidden, and never taken for an export.
    expect(readdirSync(directory).filter((name) => !/^\.malbork\.sql\..*\.partial$/.test(name))).toEqual([
      'malbork.sql',
    ]);
  });
});

describe('a manager killed while it finishes an import', () => {
  beforeEach((context) => {
    if (psqlUnavailable !== undefined) context.skip(psqlUnavailable);
  });

  it.each(pointsOf('import'))(
    'leaves an import or a served database after %s, and the next start serves',
    async (point) => {
      const { backupId, backedUp } = prepared;
      const dataDirectory = copyDataDirectory(prepared.dataDirectory);
      await withDatabaseOf(dataDirectory, async (database, server) => {
        await database.close();
        await server.dropDatabase('malbork');
        await server.createDatabase('malbork');
        const connection = database.connection.options as never;
        expect(await psql({ connection, database: 'malbork' }, script)).toEqual({ exitCode: 0, stderr: '' });
      });
      await crash(['serve'], dataDirectory, point);

      const finished = reached(point, 'import.finished');
      await withDatabaseOf(dataDirectory, async (database, server) => {
        const found = await findImport(server);
        expect([found?.state, found?.summary?.id]).toEqual(finished ? [undefined, undefined] : ['complete', backupId]);
        expect(await dumpDatabase(database)).toEqual(backedUp);
        expect(await listRestores(database.queries)).toHaveLength(finished ? 1 : 0);
      });
      await serveWhile(dataDirectory);
      await withDatabaseOf(dataDirectory, async (database, server) => {
        expect(await findImport(server)).toBeUndefined();
        expect(await dumpDatabase(database)).toEqual(backedUp);
        expect(await listRestores(database.queries)).toMatchObject([{ backupId, state: 'complete' }]);
        expect((await readCluster(database.queries))?.incarnation.number).toBe(2);
      });
      expect((await listBackups(dataDirectory)).map(({ id }) => id)).toContain(backupId);
    },
  );
});
