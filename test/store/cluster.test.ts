import { sql } from 'kysely';
import { describe, expect, it } from 'vitest';
import { beginClusterLife, insertCluster, markClusterReady, readCluster, readOwnCluster } from '#store/cluster.ts';
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
    await beginClusterLife(database.queries, { ...cluster, incarnation, createdAt: new Date() });
    expect(await readCluster(database.queries)).toEqual({ ...cluster, state: 'ready', incarnation });
  });

  it('is the one of the keyring when it begins a life, whatever it was', async () => {
    const { database } = await migratedDatabase();
    const life = { ...cluster, incarnation: { number: 2, random: 'fedcba9876543210' } };
    await beginClusterLife(database.queries, life);
    expect(await readCluster(database.queries)).toEqual({ ...life, state: 'ready' });
    await sql`UPDATE cluster SET cluster_id = gen_random_uuid(), state = 'creating'`.execute(database.queries);
    await beginClusterLife(database.queries, life);
    expect(await readCluster(database.queries)).toEqual({ ...life, state: 'ready' });
  });

  it.each(['4294967296', '9223372036854775807'])(
    'of incarnation %s was planted: it can be replaced, not served',
    async (number) => {
      const { database } = await migratedDatabase();
      await insertCluster(database.queries, {
        ...cluster,
        incarnation: { ...cluster.incarnation, number: 4294967295 },
      });
      expect((await readOwnCluster(database.queries))?.incarnation.number).toBe(4294967295);
      await sql`UPDATE cluster SET incarnation_number = ${number}::int8`.execute(database.queries);
      expect(await readCluster(database.queries)).toMatchObject({ clusterId: cluster.clusterId });
      const message = expect.stringContaining('cluster.incarnation_number in the database is ') as string;
      await expect(readOwnCluster(database.queries)).rejects.toMatchObject({ code: 'damaged', message });
    },
  );

  it('is only ever one', async () => {
    const { database } = await migratedDatabase();
    await insertCluster(database.queries, cluster);
    await expect(insertCluster(database.queries, { ...cluster, state: 'ready' })).rejects.toThrow(/cluster/);
    expect(await database.countRows('cluster')).toBe(1);
  });

  it('cannot be changed where there is none', async () => {
    const { database } = await migratedDatabase();
    await expect(markClusterReady(database.queries)).rejects.toMatchObject({ code: 'not-found' });
  });
});
