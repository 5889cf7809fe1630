import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { crashPoints } from '#model/crash-point.ts';
import { withDatabaseOf } from '../fixtures/data-directory.ts';
import { dumpDatabase } from '../fixtures/dump.ts';
import { temporaryDirectory } from '../fixtures/host.ts';
import { crash, crashTestMs, expectRestorable, listBackups, pointsOf, serveWhile } from './crashing.ts';

vi.setConfig({ testTimeout: crashTestMs, hookTimeout: crashTestMs });

it('every registered point belongs to an operation that is killed at all of its points', () => {
  const restoring = ['restore', 'rollback', 'swap', 'cleanup'];
  const keys = ['enrol', 'admit', 'export', 'import', 'advance-keys', 'reseal'];
  const operations = ['create-cluster', 'backup', 'prune', ...restoring, ...keys];
  expect(operations.flatMap(pointsOf)).toEqual([...crashPoints]);
});

describe('a manager killed while it creates the cluster', () => {
  it.each(pointsOf('create-cluster'))(
    'goes on after %s with the same keys and takes its first backup',
    async (point) => {
      const dataDirectory = join(temporaryDirectory(), 'data');
      await crash(['serve'], dataDirectory, point);
      const recorded = await withDatabaseOf(dataDirectory, dumpDatabase);

      await serveWhile(dataDirectory);

      const backups = await listBackups(dataDirectory);
      expect(backups).toHaveLength(1);
      await expectRestorable(dataDirectory, backups[0]!.id);
      const { key_epochs: epochs, credentials } = await withDatabaseOf(dataDirectory, dumpDatabase);
      expect({ epochs, credentials }).toEqual({ epochs: recorded['key_epochs'], credentials: recorded['credentials'] });
    },
  );
});
