import { cpSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { z } from 'zod';
import { connectPostgresql } from '#adapters/postgresql/postgresql-server.ts';
import { debianUnavailable, startDebianServer, type DebianServer } from '../fixtures/debian-postgresql.ts';
import { dumpDatabase } from '../fixtures/dump.ts';
import { temporaryDirectory } from '../fixtures/host.ts';
import { freshBucket } from '../fixtures/object-storage/buckets.ts';
import { cephServer, cephUnavailable } from '../fixtures/object-storage/ceph.ts';
import { environmentFor } from '../fixtures/object-storage/environment.ts';
import { addAuditEvents, addUsers } from '../fixtures/rows.ts';
import { swtpmUnavailable } from '../fixtures/swtpm.ts';
import { Machine, namespacesUnavailable } from './machine.ts';

beforeEach((context) => {
  const reason = debianUnavailable ?? cephUnavailable ?? swtpmUnavailable ?? namespacesUnavailable;
  if (reason !== undefined) context.skip(reason);
});

async function startDatabase(): Promise<DebianServer> {
  const server = await startDebianServer();
  onTestFinished(() => server.stop());
  return server;
}

const databaseOf = ({ socketUrl }: DebianServer) => ({ ENCLAVE_MANAGER_DATABASE_URL: socketUrl });

async function rowsOf({ socketUrl }: DebianServer, work?: Parameters<typeof withRows>[1]) {
  return await withRows(socketUrl, work);
}

async function withRows(
  url: string,
  work: (database: Parameters<typeof addUsers>[0]) => Promise<void> = async () => {},
): Promise<Record<string, string[]>> {
  const server = await connectPostgresql({ server: url });
  try {
    const database = server.open(server.liveName);
    await work(database);
    return await dumpDatabase(database);
  } finally {
    await server.close();
  }
}

async function serveOn(machine: Machine, database: DebianServer) {
  const serve = machine.start(['serve'], databaseOf(database));
  onTestFinished(() => void serve.child.kill('SIGKILL'));
  await serve.saw(/Stop with Ctrl-C/);
  return serve;
}

/** `joining` is invited by its hardware on `member`, where a manager runs. */
async function enrol(member: Machine, joining: Machine, database: DebianServer): Promise<unknown> {
  const { hardwareIdentity } = z
    .object({ hardwareIdentity: z.string() })
    .parse(await joining.json(['node', 'measure'], databaseOf(database)));
  const { token } = z
    .object({ token: z.string() })
    .parse(await member.json(['node', 'invite', '--hardware', hardwareIdentity], databaseOf(database)));
  const tokenFile = join(temporaryDirectory(), 'token');
  writeFileSync(tokenFile, token);
  return await joining.json(['node', 'enrol', '--token-file', tokenFile], databaseOf(database));
}

describe('a disaster', { timeout: 300_000 }, () => {
  it('that takes the first machine and the database is survived by the second, from the bucket alone', async () => {
    const env = {
      ...environmentFor(await freshBucket(await cephServer())),
      ENCLAVE_MANAGER_BACKUP_SCHEDULE: '',
      ENCLAVE_MANAGER_DRILL_SCHEDULE: '',
    };
    const database = await startDatabase();
    const east = await Machine.build('east', 'host-a', env);
    const west = await Machine.build('west', 'host-b', env);
    const serve = await serveOn(east, database);
    expect(await enrol(east, west, database)).toMatchObject({ name: 'host-b', grade: 'tpm2-confirmed', epochs: [1] });
    const before = await rowsOf(database, async (rows) => {
      await addUsers(rows, 500);
      await addAuditEvents(rows, 300);
    });
    const backup = z
      .object({ id: z.string(), clusterKey: z.string(), rows: z.number() })
      .parse(await east.json(['backup', 'create'], databaseOf(database)));
    const openability = await east.json(['openability'], databaseOf(database));
    expect(openability).toMatchObject({ backups: [{ id: backup.id, sites: 2 }], lost: [] });

    serve.child.kill('SIGKILL');
    await serve.ended;
    await east.burn();
    await database.stop();
    const stolenDisk = temporaryDirectory();
    cpSync(west.disk, stolenDisk, { recursive: true });
    west.loseDisk();
    const empty = await startDatabase();
    const restore = ['restore', 'run', 'latest', '--yes', '--cluster-key', backup.clusterKey];

    const stranger = await Machine.build('west', 'host-b', env);
    stranger.disk = stolenDisk;
    const refused = await stranger.run(restore, databaseOf(empty));
    expect([refused.exitCode, JSON.parse(refused.stdout)]).toMatchObject([
      21,
      { error: { code: 'no-key', message: expect.stringContaining('host-a, host-b') } },
    ]);

    const restored = await west.json(restore, databaseOf(empty));
    expect(restored).toMatchObject({ backupId: backup.id, rows: backup.rows, beforeDatabase: null });
    expect(await rowsOf(empty)).toEqual(before);

    const again = await serveOn(west, empty);
    expect(await west.json(['backup', 'create'], databaseOf(empty))).toMatchObject({
      sequence: 2,
      newChunks: expect.any(Number),
      verified: { level: 'new-chunks' },
    });
    expect(await west.json(['backup', 'drill', 'latest'], databaseOf(empty))).toMatchObject({ tables: 16 });
    again.child.kill('SIGTERM');
    const { exitCode, stderr } = await again.ended;
    expect(exitCode, stderr).toBe(0);
  });
});
