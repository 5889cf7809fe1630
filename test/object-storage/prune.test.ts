import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from 'kysely';
import { beforeEach, describe, expect, it } from 'vitest';
import { createBackup } from '#operations/create-backup.ts';
import { prune, type PruneResult } from '#operations/prune.ts';
import { cephUnavailable } from '../fixtures/object-storage/ceph.ts';
import {
  answer,
  deletes,
  gets,
  hangUpBefore,
  lists,
  loseReply,
  puts,
  staleList,
  webPage,
} from '../fixtures/object-storage/faults.ts';
import {
  breakOnce,
  makeProxiedCluster,
  same,
  trulyListed,
  type ProxiedCluster,
  type Step,
} from '../fixtures/object-storage/proxied-cluster.ts';
import { addUsers } from '../fixtures/rows.ts';

/** The store tells whole seconds. */
const graceMs = 1_000;
const longerThanGraceMs = 2_200;

const pruneNow = async ({ context, cluster }: ProxiedCluster): Promise<PruneResult> =>
  await prune(context, cluster, { policy: { last: 1 }, graceMs, cause: 'manual', acceptEmptiedTables: false });

/** Three backups; the second has rows that no other has. */
async function threeBackups(): Promise<ProxiedCluster> {
  const ready = await makeProxiedCluster();
  for (const domain of ['second.example.org', 'third.example.org']) {
    await sql`DELETE FROM users`.execute(ready.cluster.database.queries);
    await addUsers(ready.cluster.database, 5, domain);
    await createBackup(ready.context, ready.cluster, { kind: 'manual' });
  }
  return ready;
}

const condemning: readonly Step[] = [
  ['marker', gets('/enclave-manager.json'), 'get'],
  ['list of backups', lists('/backups/'), 'list'],
  ['manifest', gets('/backups/'), 'get'],
  ['manifest removed', deletes('/backups/'), 'delete'],
  ['list of condemned', lists('/condemned/'), 'list'],
  ['list of chunks', lists('/chunks/'), 'list'],
  ['condemned', puts('/condemned/'), 'put'],
];
const deleting: readonly Step[] = [
  ['list of condemned', lists('/condemned/'), 'list'],
  ['condemned read', gets('/condemned/'), 'get'],
  ['list of chunks', lists('/chunks/'), 'list'],
  ['chunk deleted', deletes('/chunks/'), 'delete'],
];

beforeEach((context) => {
  if (cephUnavailable !== undefined) context.skip(cephUnavailable);
});

describe('prune', { timeout: 240_000 }, () => {
  it.each([
    ['hangs up before', hangUpBefore],
    ['loses the reply', loseReply],
    ['answers 503', answer(503, 'SlowDown')],
    ['answers with a web page and 200', webPage],
  ] as const)('does what it says when the connection %s once at every step', async (_, fault) => {
    const ready = await threeBackups();
    const missedByFirst = breakOnce(ready.proxy, condemning, same(fault));
    const first = await pruneNow(ready);
    expect(missedByFirst()).toEqual([]);
    expect(first).toMatchObject({ removed: [{ sequence: 2 }, { sequence: 1 }], deleted: { objects: 0 } });
    expect(first.condemned.objects).toBeGreaterThan(0);
    await sleep(longerThanGraceMs);
    const missedBySecond = breakOnce(ready.proxy, deleting, same(fault));
    const second = await pruneNow(ready);
    expect(missedBySecond()).toEqual([]);
    expect(second.deleted).toEqual(first.condemned);
    expect(await trulyListed(ready)).toHaveLength(1);
  });

  it('deletes nothing that is needed when a step always fails, when it may not delete, or when listings are old', async () => {
    const ready = await threeBackups();
    for (const [name, matches] of condemning) {
      const injected = ready.proxy.inject(matches, answer(500, 'InternalError'), Infinity);
      await expect(pruneNow(ready), name).rejects.toMatchObject({ code: 'repository-unreachable' });
      expect(injected.fired, name).toBeGreaterThan(1);
      ready.proxy.heal();
    }
    const denied = ready.proxy.inject(deletes('/chunks/'), answer(403, 'AccessDenied'), Infinity);
    await pruneNow(ready);
    await sleep(longerThanGraceMs);
    await expect(pruneNow(ready)).rejects.toMatchObject({ message: expect.stringContaining('may not delete') });
    expect(denied.fired).toBeGreaterThan(0);
    ready.proxy.heal();
    const stale = ready.proxy.inject(lists('/chunks/'), staleList, Infinity);
    await pruneNow(ready);
    expect(stale.fired).toBeGreaterThan(0);
    ready.proxy.heal();
    expect(await trulyListed(ready)).toHaveLength(1);
  });
});
