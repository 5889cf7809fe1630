import { sql } from 'kysely';
import { describe, expect, it } from 'vitest';
import { valueOf, eventually, type ContractScope } from './database-scope.contract.ts';

/** One database takes the place of another, whole or not at all. */
export function databaseSwapContract(scope: ContractScope): void {
  describe('swap', () => {
    const marked = async (mark: string): Promise<string> => {
      const database = await scope.openFresh(`CREATE TABLE mark (value text); INSERT INTO mark VALUES ('${mark}')`);
      return database.name;
    };
    const markOf = async (name: string): Promise<unknown> =>
      valueOf(await scope.openExisting(name), sql`SELECT value FROM mark`);
    const identities = (names: readonly string[]): Promise<unknown[]> =>
      Promise.all(names.map((each) => scope.server.databaseIdentity(each)));

    it('makes staging the live database and keeps the old one, although both are in use', async () => {
      const [live, staging, before] = [await marked('old'), await marked('new'), scope.freshName()];
      const [liveId, stagingId] = await identities([live, staging]);
      await scope.server.swap({ live, staging, before, expectedLive: liveId as string });
      expect(await identities([live, before, staging])).toEqual([stagingId, liveId, undefined]);
      expect([await markOf(live), await markOf(before)]).toEqual(['new', 'old']);
    });

    it('works where there is no live database yet', async () => {
      const [live, staging] = [scope.freshName(), await marked('new')];
      await scope.server.swap({ live, staging, before: scope.freshName(), expectedLive: undefined });
      expect(await markOf(live)).toBe('new');
    });

    it('changes nothing when the live database is another one than expected', async () => {
      const [live, staging, before] = [await marked('old'), await marked('new'), scope.freshName()];
      const was = await identities([live, staging, before]);
      for (const expectedLive of ['1', undefined]) {
        await expect(scope.server.swap({ live, staging, before, expectedLive })).rejects.toMatchObject({
          code: 'lease-held',
        });
      }
      await expect(
        scope.server.swap({ live: scope.freshName(), staging, before, expectedLive: '1' }),
      ).rejects.toMatchObject({
        code: 'lease-held',
      });
      expect(await identities([live, staging, before])).toEqual(was);
      expect(await markOf(live)).toBe('old');
    });

    it('changes nothing when staging is missing or the name for the old one is taken', async () => {
      const [live, staging, taken] = [await marked('old'), await marked('new'), await marked('taken')];
      const was = await identities([live, staging, taken]);
      const expectedLive = was[0] as string;
      await expect(
        scope.server.swap({ live, staging: 'nowhere', before: scope.freshName(), expectedLive }),
      ).rejects.toMatchObject({ code: 'not-found' });
      await expect(scope.server.swap({ live, staging, before: taken, expectedLive })).rejects.toMatchObject({
        code: '42P04',
      });
      expect(await identities([live, staging, taken])).toEqual(was);
      expect(await markOf(live)).toBe('old');
    });

    it('changes nothing when the time it was allowed in is over, by the clock of the server', async () => {
      const [live, staging, before] = [await marked('old'), await marked('new'), scope.freshName()];
      const was = await identities([live, staging, before]);
      const expectedLive = was[0] as string;
      const now = (await valueOf(await scope.openExisting(live), sql`SELECT clock_timestamp() AS value`)) as Date;
      const after = (ms: number): Date => new Date(now.getTime() + ms);
      await expect(
        scope.server.swap({ live, staging, before, expectedLive, notAfter: after(-1000) }),
      ).rejects.toMatchObject({ code: 'lease-held', message: expect.stringContaining('ran out before the swap') });
      expect(await identities([live, staging, before])).toEqual(was);
      await scope.server.swap({ live, staging, before, expectedLive, notAfter: after(600_000) });
      expect(await markOf(live)).toBe('new');
    });

    it('lets one of two swaps of the same database win, and tells the other', async () => {
      const [live, one, two] = [await marked('old'), await marked('one'), await marked('two')];
      const expectedLive = await scope.server.databaseIdentity(live);
      const outcomes = await Promise.allSettled(
        [one, two].map((staging) => scope.server.swap({ live, staging, before: scope.freshName(), expectedLive })),
      );
      expect(outcomes.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
      expect(outcomes.find((each) => each.status === 'rejected')?.reason).toMatchObject({ code: 'lease-held' });
    });

    it('comes to its end while programs reconnect to the live database all the time', async () => {
      const [live, staging, before] = [await marked('old'), await marked('new'), scope.freshName()];
      let over = false;
      const seen = new Set<unknown>();
      const client = async (): Promise<void> => {
        while (!over) {
          const database = scope.server.open(live, { connections: 1 });
          for (let again = 0; again < 3 && !over; again += 1) {
            await valueOf(database, sql`SELECT value FROM mark`).then(
              (mark) => seen.add(mark),
              () => undefined,
            );
          }
          await database.close();
        }
      };
      const clients = Array.from({ length: 8 }, client);
      await eventually(async () => expect([...seen]).toEqual(['old']));
      await scope.server.swap({ live, staging, before, expectedLive: await scope.server.databaseIdentity(live) });
      await eventually(async () => expect([...seen]).toEqual(['old', 'new']));
      over = true;
      await Promise.all(clients);
    });
  });
}
