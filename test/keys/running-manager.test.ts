import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { sql } from 'kysely';
import { expect, it, onTestFinished } from 'vitest';
import type { Database } from '#ports/database.ts';
import { tablesOf } from '#store/tables.ts';
import { runCommand, runJson, startCommand } from '../fixtures/command.ts';
import { makeCluster } from '../fixtures/cluster.ts';
import { dumpDatabase } from '../fixtures/dump.ts';
import type { TestHost } from '../fixtures/host.ts';
import { commandOn } from '../fixtures/host-command.ts';
import { enrolHosts } from '../fixtures/hosts.ts';

it(
  'a running manager seals its credential anew, and stops serving and writing once its host is evicted',
  { timeout: 240_000 },
  async () => {
    const { host, cluster } = await makeCluster();
    const [second] = (await enrolHosts(host, ['host-b'])) as [TestHost];
    const [onFirst, onSecond] = [await commandOn(host), await commandOn(second)];
    await runJson(['backup', 'create'], onFirst);
    const serve = startCommand(['serve'], onSecond);
    onTestFinished(() => void serve.child.kill('SIGKILL'));
    const [, address] = await serve.saw(/(http:\/\/127\.0\.0\.1:\d+)/);
    await serve.saw(/Stop with Ctrl-C/);

    const rotated = await runJson(['keys', 'rotate', '--yes'], onFirst);
    expect(rotated).toMatchObject({ keyGeneration: 2, epoch: 2 });
    await expect
      .poll(() => runJson(['keys', 'status'], onFirst), { timeout: 60_000, interval: 1_000 })
      .toMatchObject({ change: null, nodes: [{ resealed: true }, { name: 'host-b', resealed: true }] });

    const evicted = await runJson(['node', 'evict', 'host-b', '--yes'], onFirst);
    expect(evicted).toMatchObject({
      node: { name: 'host-b' },
      alreadyEvicted: false,
      stillOpens: { epochs: [1, 2], backups: [expect.any(String)] },
      keyGeneration: 3,
      waitingFor: [],
    });
    await serve.saw(/was evicted|is not in membership/);
    const readiness = async () => await (await fetch(`${address}/readyz`)).json();
    await expect.poll(readiness, { timeout: 30_000 }).toMatchObject({
      ready: false,
      reasons: [expect.stringContaining('node invite')],
    });
    const servers = () => tablesOf(cluster.database).selectFrom('servers').select('server_id').execute();
    await expect.poll(servers, { timeout: 30_000 }).toEqual([]);

    const before = await everything(host, cluster.database);
    // Longer than all that a manager does by itself waits for.
    await new Promise((resolve) => setTimeout(resolve, 6_000));
    expect(await everything(host, cluster.database)).toEqual(before);

    for (const args of [
      ['backup', 'create'],
      ['keys', 'status'],
      ['restore', 'run', 'latest', '--yes'],
    ]) {
      const { exitCode, stderr } = await runCommand(args, onSecond);
      expect([args, exitCode, stderr]).toEqual([args, 40, expect.stringContaining('node enrol')]);
    }
    const again = await runJson(['node', 'evict', 'host-b', '--yes'], onFirst);
    expect(again).toMatchObject({ alreadyEvicted: true, keyGeneration: 3 });
    serve.child.kill('SIGTERM');
    expect(await serve.ended).toMatchObject({ exitCode: 0 });
    expect(await runCommand(['serve'], onSecond)).toMatchObject({ exitCode: 40 });
  },
);

async function everything(host: TestHost, database: Database): Promise<object> {
  const objects = readdirSync(join(host.directory, 'backups'), { recursive: true }).map(String).toSorted();
  const { rows } = await sql`SELECT * FROM operation_runs`.execute(database.queries);
  const leases = await tablesOf(database).selectFrom('leases').select(['name', 'counter']).orderBy('name').execute();
  return { objects, rows: await dumpDatabase(database), runs: rows, leases };
}
