import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { S3Store } from '#adapters/s3/s3-store.ts';
import { createBackup } from '#operations/create-backup.ts';
import { openOrCreateCluster } from '#operations/open-cluster.ts';
import { restore } from '#operations/restore.ts';
import { runCommand, runJson, startCommand } from '../fixtures/command.ts';
import { dumpDatabase } from '../fixtures/dump.ts';
import { makeContext, makeHost, temporaryDirectory } from '../fixtures/host.ts';
import { freshBucket } from '../fixtures/object-storage/buckets.ts';
import { environmentFor } from '../fixtures/object-storage/environment.ts';
import { cephServer, cephUnavailable } from '../fixtures/object-storage/ceph.ts';
import { threads } from '../fixtures/workers.ts';

beforeEach((context) => {
  if (cephUnavailable !== undefined) context.skip(cephUnavailable);
});

describe('the circle on Ceph RGW', { timeout: 240_000 }, () => {
  it('brings back every row after the database is lost, with worker threads that open the store themselves', async () => {
    const store = new S3Store(await freshBucket(await cephServer()));
    onTestFinished(() => store.close());
    const host = await makeHost({ store });
    const context = makeContext({ startWorker: threads });
    const { cluster } = await openOrCreateCluster(context, host);
    const before = await dumpDatabase(cluster.database);
    const backup = await createBackup(context, cluster, { kind: 'manual' });
    expect(backup).toMatchObject({ sequence: 1, verified: { level: 'new-chunks' } });
    await cluster.database.close();
    await host.server.dropDatabase(host.server.liveName);

    const result = await restore(context, host, { backup: 'latest', trust: { confirmed: true }, safetyBackup: true });

    expect(result).toMatchObject({ backupId: backup.id, rows: backup.rows, beforeDatabase: null });
    const restored = host.server.open(host.server.liveName);
    expect(await dumpDatabase(restored)).toMatchObject(before);
    await restored.close();
  });

  it('runs by the command line alone: serve, back up, verify, lose everything but the key, restore, drill', async () => {
    const env = environmentFor(await freshBucket(await cephServer()));
    const first = temporaryDirectory();
    const serve = startCommand(['serve', '--json'], { dataDirectory: first, env });
    onTestFinished(() => void serve.child.kill('SIGKILL'));
    await serve.saw(/\n\}\n$/);
    serve.child.kill('SIGINT');
    const { exitCode, stdout, stderr } = await serve.ended;
    expect(exitCode, stderr).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      outcome: 'created',
      status: { backups: 1, lastDrill: { passed: true } },
    });
    const backup = await runJson(['backup', 'create'], { dataDirectory: first, env });
    expect(backup).toMatchObject({ sequence: 2, verified: { level: 'new-chunks' } });
    expect(await runJson(['backup', 'verify', 'latest'], { dataDirectory: first, env })).toMatchObject({ healed: [] });
    const second = temporaryDirectory();
    cpSync(join(first, 'keys'), join(second, 'keys'), { recursive: true });
    rmSync(first, { recursive: true });
    const { clusterKey } = backup as { clusterKey: string };

    const restored = await runJson(['restore', 'run', 'latest', '--yes', '--cluster-key', clusterKey], {
      dataDirectory: second,
      env,
    });

    expect(restored).toMatchObject({ sequence: 2, tables: 16, beforeDatabase: null });
    expect(await runJson(['backup', 'drill', 'latest'], { dataDirectory: second, env })).toMatchObject({ tables: 16 });
    const status = await runCommand(['status', '--json'], { dataDirectory: second, env });
    expect(JSON.parse(status.stdout)).toMatchObject({ healthy: true, lastDrill: { passed: true } });
    expect(`${status.stdout}${status.stderr}`).not.toContain(env['AWS_SECRET_ACCESS_KEY']);
  });
});
