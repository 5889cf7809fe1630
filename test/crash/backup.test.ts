import { beforeAll, describe, expect, it, vi } from 'vitest';
import { runJson } from '../fixtures/command.ts';
import { copyDataDirectory, withDatabaseOf } from '../fixtures/data-directory.ts';
import { dumpDatabase } from '../fixtures/dump.ts';
import {
  crash,
  crashTestMs,
  expectRestorable,
  listBackups,
  pointsOf,
  prepare,
  reached,
  type Prepared,
} from './crashing.ts';

vi.setConfig({ testTimeout: crashTestMs, hookTimeout: crashTestMs });

describe('a process killed while it takes a backup', () => {
  let prepared: Prepared;

  beforeAll(async () => {
    prepared = await prepare();
  });

  it.each(pointsOf('backup'))(
    'lists nothing after %s that does not restore, and the next backup works',
    async (point) => {
      const dataDirectory = copyDataDirectory(prepared.dataDirectory);
      const before = await listBackups(dataDirectory);
      await crash(['backup', 'create'], dataDirectory, point);

      const after = await listBackups(dataDirectory);
      expect(after).toHaveLength(before.length + (reached(point, 'backup.manifest-written') ? 1 : 0));
      const next = await runJson(['backup', 'create'], { dataDirectory });

      expect(next).toMatchObject({ sequence: after[0]!.sequence + 1 });
      await expectRestorable(dataDirectory, after[0]!.id);
      expect(await withDatabaseOf(dataDirectory, dumpDatabase)).toEqual(prepared.changed);
    },
  );
});
