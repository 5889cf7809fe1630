import { join } from 'node:path';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { runJson } from '../fixtures/command.ts';
import { copyDataDirectory } from '../fixtures/data-directory.ts';
import { filesBelow, letTimePassBelow } from '../fixtures/files.ts';
import { change, crash, crashTestMs, expectAllReadable, listBackups, pointsOf, prepare, reached } from './crashing.ts';

vi.setConfig({ testTimeout: crashTestMs, hookTimeout: crashTestMs });

const graceMs = 24 * 3_600_000;
const env = { ENCLAVE_MANAGER_KEEP_LAST: '2', ENCLAVE_MANAGER_PRUNE_GRACE: '24h' };
const command = ['backup', 'prune', '--yes'];

describe('a process killed while it prunes', () => {
  let dataDirectory: string;

  /** One prune has recorded objects, a grace has passed, and there is more to remove. */
  beforeAll(async () => {
    ({ dataDirectory } = await prepare());
    await runJson(['backup', 'create'], { dataDirectory });
    expect(await runJson(command, { dataDirectory, env })).toMatchObject({
      removed: [{ sequence: 1 }],
      deleted: { objects: 0 },
    });
    letTimePassBelow(join(dataDirectory, 'backups'), graceMs);
    await change(dataDirectory, 'before the last backup');
    await runJson(['backup', 'create'], { dataDirectory });
    expect((await listBackups(dataDirectory)).map(({ sequence }) => sequence)).toEqual([4, 3, 2]);
  });

  it.each(pointsOf('prune'))('leaves every listed backup whole after %s, and the next prune goes on', async (point) => {
    const copy = copyDataDirectory(dataDirectory);
    await crash(command, { dataDirectory: copy, env }, point);

    expect(await expectAllReadable(copy)).toBe(reached(point, 'prune.manifest-removed') ? 2 : 3);
    await runJson(['backup', 'create'], { dataDirectory: copy });
    expect(await runJson(command, { dataDirectory: copy, env })).toMatchObject({
      kept: [{ sequence: 5 }, { sequence: 4 }],
    });
    expect(await expectAllReadable(copy)).toBe(2);
    letTimePassBelow(join(copy, 'backups'), graceMs);
    expect(await runJson(command, { dataDirectory: copy, env })).toMatchObject({ inGrace: { objects: 0 } });
    expect(filesBelow(join(copy, 'backups', 'condemned'))).toEqual([]);
    expect(await expectAllReadable(copy)).toBe(2);
  });
});
