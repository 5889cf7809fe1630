import { beforeEach, describe, expect, it } from 'vitest';
import { createBackup, type BackupResult } from '#operations/create-backup.ts';
import { openRepository } from '#operations/open-repository.ts';
import { readCatalog } from '#operations/read-catalog.ts';
import { restore } from '#operations/restore.ts';
import { verifyBackups } from '#operations/verify-backup.ts';
import { dumpDatabase } from '../fixtures/dump.ts';
import { makeHost, type TestHost } from '../fixtures/host.ts';
import { cephUnavailable } from '../fixtures/object-storage/ceph.ts';
import {
  answer,
  cutWithFittingLength,
  cutWithoutLength,
  cutWithTrueLength,
  errorInside200,
  failAfter,
  flipInReply,
  flipInRequest,
  gets,
  hangUpBefore,
  lists,
  loseReply,
  puts,
  staleList,
  stallInBody,
  swallowReply,
  webPage,
} from '../fixtures/object-storage/faults.ts';
import {
  breakOnce,
  limits,
  makeProxiedCluster,
  same,
  trulyListed,
  type ProxiedCluster,
  type Step,
} from '../fixtures/object-storage/proxied-cluster.ts';
import type { SeenRequest } from '../fixtures/object-storage/fault-proxy.ts';
import { freshDatabaseName } from '../fixtures/postgresql.ts';
import { confirmed, restoreInto } from '../fixtures/restoring.ts';
import { addSettings } from '../fixtures/rows.ts';

const backupSteps: readonly Step[] = [
  ['marker', gets('/enclave-manager.json'), 'get'],
  ['keyring', lists('/keyring/'), 'list'],
  ['list of backups', lists('/backups/'), 'list'],
  ['manifest of the last backup', gets('/backups/'), 'get'],
  ['list of verifications', lists('/verifications/'), 'list'],
  ['verification', gets('/verifications/'), 'get'],
  ['list of chunks', lists('/chunks/'), 'list'],
  ['chunk stored', puts('/chunks/'), 'put'],
  ['chunk read back', gets('/chunks/'), 'get'],
  ['manifest', puts('/backups/'), 'put'],
  ['verification recorded', puts('/verifications/'), 'put'],
];
const verifySteps: readonly Step[] = [
  ['manifest', gets('/backups/'), 'get'],
  ['chunk', gets('/chunks/'), 'get'],
  ['verification recorded', puts('/verifications/'), 'put'],
];
const restoreSteps: readonly Step[] = [
  ['keyring listed', lists('/keyring/'), 'list'],
  ['keyring read', gets('/keyring/'), 'get'],
  ['list of backups', lists('/backups/'), 'list'],
  ['manifest', gets('/backups/'), 'get'],
  ['chunk', gets('/chunks/'), 'get'],
];

async function backUp({ context, cluster }: ProxiedCluster): Promise<BackupResult> {
  return await createBackup(context, cluster, { kind: 'manual' });
}

beforeEach((context) => {
  if (cephUnavailable !== undefined) context.skip(cephUnavailable);
});

describe('backup, verification and restore succeed truly', { timeout: 240_000 }, () => {
  it.each([
    ['hangs up before', same(hangUpBefore)],
    ['loses the reply', same(loseReply)],
    ['stalls, or does not reply', { get: stallInBody, list: stallInBody, put: swallowReply }],
    ['answers 503', same(answer(503, 'SlowDown'))],
    ['answers 429, and 500 to what it did', { get: answer(429, 'TooManyRequests'), list: failAfter, put: failAfter }],
    ['answers with a web page and 200', same(webPage)],
    [
      'cuts replies, and flips a bit of uploads',
      { get: cutWithTrueLength, list: cutWithTrueLength, put: flipInRequest },
    ],
    [
      'cuts replies under a fitting length, and errs inside 200',
      { get: cutWithFittingLength, list: cutWithFittingLength, put: errorInside200 },
    ],
    [
      'flips bits of replies, and ends them early',
      { get: flipInReply, list: cutWithoutLength, put: answer(409, 'ConditionalRequestConflict') },
    ],
  ] as const)('when the connection %s once at every step', async (_, faults) => {
    const ready = await makeProxiedCluster();
    const { proxy, host, context, cluster } = ready;
    const before = await dumpDatabase(cluster.database);

    const missedByBackup = breakOnce(proxy, backupSteps, faults);
    const backup = await backUp(ready);
    expect(missedByBackup()).toEqual([]);
    expect(backup).toMatchObject({ sequence: 2, verified: { level: 'new-chunks' } });
    expect(await trulyListed(ready)).toHaveLength(2);

    const missedByVerification = breakOnce(proxy, verifySteps, faults);
    const verification = await verifyBackups(context, { store: host.store, keyring: cluster.keyring }, [backup.id]);
    expect(missedByVerification()).toEqual([]);
    expect(verification).toMatchObject({ bad: [], failed: [] });

    const missedByRestore = breakOnce(proxy, restoreSteps, faults);
    const restored = await restoreInto(context, host);
    expect(missedByRestore()).toEqual([]);
    expect(await dumpDatabase(restored.database)).toMatchObject(before);
  });
});

/** The same host and store beside another, empty database. */
const hostOnStore = async (host: TestHost): Promise<TestHost> =>
  await makeHost({ directory: host.directory, store: host.store, liveName: freshDatabaseName() });

/** Of the object that was asked for most often: two chunks may be under way at once, each with attempts of its own. */
const mostAttempts = (requests: readonly SeenRequest[]): number =>
  Math.max(...[...Map.groupBy(requests, ({ path }) => path).values()].map(({ length }) => length));

describe('a step that always fails', { timeout: 240_000 }, () => {
  it('ends each backup with a typed error, lists nothing and loses nothing; the next one succeeds', async () => {
    const ready = await makeProxiedCluster();
    for (const [name, matches] of backupSteps.slice(0, -1)) {
      const before = ready.proxy.requests.length;
      const injected = ready.proxy.inject(matches, answer(500, 'InternalError'), Infinity);
      await expect(backUp(ready), name).rejects.toMatchObject({ code: 'repository-unreachable' });
      expect(injected.fired, name).toBeGreaterThanOrEqual(limits.attempts);
      expect(mostAttempts(ready.proxy.requests.slice(before).filter(matches)), name).toBe(limits.attempts);
      ready.proxy.heal();
    }
    expect(await trulyListed(ready)).toHaveLength(1);
    expect(await backUp(ready)).toMatchObject({ sequence: 2 });
    expect(await trulyListed(ready)).toHaveLength(2);
  });

  it('lists the backup when only the record of its verification could not be stored', async () => {
    const ready = await makeProxiedCluster();
    const injected = ready.proxy.inject(puts('/verifications/'), answer(500, 'InternalError'), Infinity);
    await expect(backUp(ready)).rejects.toMatchObject({ code: 'repository-unreachable' });
    expect(injected.fired).toBe(limits.attempts);
    ready.proxy.heal();
    expect(await trulyListed(ready)).toHaveLength(2);
  });

  it('ends a restore with a typed error, and leaves no database behind that could be taken for restored', async () => {
    const ready = await makeProxiedCluster();
    await backUp(ready);
    for (const [name, matches] of restoreSteps) {
      const injected = ready.proxy.inject(matches, answer(500, 'InternalError'), Infinity);
      const beside = await hostOnStore(ready.host);
      await expect(restore(ready.context, beside, confirmed), name).rejects.toMatchObject({
        code: 'repository-unreachable',
      });
      expect(injected.fired, name).toBeGreaterThanOrEqual(limits.attempts);
      expect(await beside.server.databaseIdentity(beside.server.liveName)).toBeUndefined();
      ready.proxy.heal();
    }
    const opened = await openRepository(ready.host.store, ready.host.sealing);
    expect((await readCatalog(ready.host.store, opened.keyring)).backups).toHaveLength(2);
  });
});

describe('a store that shows late what was stored', () => {
  it('does not make a backup believe that its chunks are missing, nor reuse a sequence', async () => {
    const ready = await makeProxiedCluster();
    await backUp(ready);
    await addSettings(ready.cluster.database, 50, 'more');
    const stale = [lists('/chunks/'), lists('/backups/')].map((matches) =>
      ready.proxy.inject(matches, staleList, Infinity),
    );
    expect(await backUp(ready)).toMatchObject({ sequence: 3 });
    expect(stale.every(({ fired }) => fired > 0)).toBe(true);
    ready.proxy.heal();
    expect(await trulyListed(ready)).toHaveLength(3);
  });
});
