import { rmSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { createBackup } from '#operations/create-backup.ts';
import { openOrCreateCluster } from '#operations/open-cluster.ts';
import { readCatalog } from '#operations/read-catalog.ts';
import { restore } from '#operations/restore.ts';
import { makeContext, makeHost } from '../fixtures/host.ts';
import { dumpDatabase } from '../fixtures/dump.ts';
import { threads } from '../fixtures/workers.ts';

const trust = { confirmed: true };

describe('the circle', () => {
  it('brings back every row after the database is lost', async () => {
    const host = await makeHost();
    const context = makeContext({ startWorker: threads });
    const { cluster } = await openOrCreateCluster(context, host);
    const before = await dumpDatabase(cluster.database);
    const backup = await createBackup(context, cluster, { kind: 'manual' });
    expect(backup).toMatchObject({
      kind: 'manual',
      sequence: 1,
      verified: { level: 'new-chunks' },
      clusterKey: cluster.keyring.fingerprint,
    });
    await cluster.database.close();
    await host.server.dropDatabase(host.server.liveName);

    const result = await restore(context, host, { backup: 'latest', trust, safetyBackup: true });

    expect(result).toMatchObject({
      backupId: backup.id,
      rows: backup.rows,
      safetyBackupId: null,
      beforeDatabase: null,
    });
    const restored = host.server.open(host.server.liveName);
    expect(await dumpDatabase(restored)).toMatchObject(before);
    await restored.close();
  });

  it('restores on a machine that lost everything but its key', async () => {
    const host = await makeHost();
    const context = makeContext({ startWorker: threads });
    const { cluster } = await openOrCreateCluster(context, host);
    const { clusterKey } = await createBackup(context, cluster, { kind: 'manual' });
    const before = await dumpDatabase(cluster.database);
    await cluster.database.close();
    rmSync(`${host.directory}/state`, { recursive: true });
    const empty = await makeHost({ directory: host.directory });

    await restore(context, empty, { backup: 'latest', trust: { clusterKey, confirmed: false }, safetyBackup: true });

    const restored = empty.server.open(empty.server.liveName);
    expect(await dumpDatabase(restored)).toMatchObject(before);
    await restored.close();
    expect((await empty.localState.read())?.highestSequence).toBe(1);
  });

  it('refuses on a host that was never enrolled', async () => {
    const host = await makeHost();
    const context = makeContext({ startWorker: threads });
    const { cluster } = await openOrCreateCluster(context, host);
    await createBackup(context, cluster, { kind: 'manual' });
    await cluster.database.close();
    const stranger = await makeHost({ repository: `${host.directory}/backups`, name: 'stranger' });

    const attempt = restore(context, stranger, { backup: 'latest', trust, safetyBackup: true });

    await expect(attempt).rejects.toMatchObject({ code: 'no-key', message: expect.stringContaining('host-a') });
    expect(await stranger.server.databaseIdentity(stranger.server.liveName)).toBeUndefined();
    expect((await readCatalog(stranger.store, undefined)).backups[0]?.entry.authentic).toBe('unknown');
  });
});
