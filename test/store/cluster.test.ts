import { describe, expect, it } from 'vitest';
import { insertCluster, markClusterReady, readCluster, setIncarnation } from '#store/cluster.ts';
import { migratedDatabase } from './store-database.ts';

const cluster = {
  clusterId: '01890a5d-ac96-774b-bcce-b302099a8057',
  state: 'creating',
  incarnation: { number: 1, random: '0123456789abcdef' },
  createdAt: new Date('2026-11-22T00:00:00.123Z'),
} as const;

describe('the cluster row', () => {
  it('is not there in a new database, and comes back as it was written', async () => {
    const { database } = await migratedDatabase();
    expect(await readCluster(database.queries)).toBeUndefined();
    await insertCluster(database.queries, cluster);
    expect(await readCluster(database.queries)).toEqual(cluster);
  });

  it('becomes ready and takes a new incarnation', async () => {
    const { database } = await migratedDatabase();
    await insertCluster(database.queries, cluster);
    await markClusterReady(database.queries);
    const incarnation = { number: 2, random: 'fedcba9876543210' };
    await setIncarnation(database.queries, incarnation);
    expect(await readCluster(database.queries)).toEqual({ ...cluster, state: 'ready', incarnation });
  });

  it('is only ever one', async () => {
    const { database } = await migratedDatabase();
    await insertCluster(database.queries, cluster);
    await expect(insertCluster(database.queries, { ...cluster, state: 'ready' })).rejects.toThrow(/cluster/);
    expect(await database.countRows('cluster')).toBe(1);
  });

  it('cannot be changed where there is none', async () => {
    const { database } = await migratedDatabase();
    await expect(markClusterReady(database.queries)).rejects.toMatchObject({ code: 'not-found' });
    await expect(setIncarnation(database.queries, cluster.incarnation)).rejects.toMatchObject({ code: 'not-found' });
  });
});
