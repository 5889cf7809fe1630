import { sql } from 'kysely';
import { describe, expect, it } from 'vitest';
import { sealedColumnEpoch } from '#keys/sealed-column.ts';
import type { Database } from '#ports/database.ts';
import { readCaKey, saveCaKey } from '#store/ca-keys.ts';
import { revokeOutdatedInvites, saveInvite } from '#store/invites.ts';
import { requireCurrentColumns, resealColumns, sealedColumns, type ResealOptions } from '#store/sealed-values.ts';
import { readSetting, saveSetting } from '#store/settings.ts';
import { tablesOf } from '#store/tables.ts';
import { columnKeys } from './column-keys.ts';
import { migratedDatabase, ports } from './store-database.ts';

const caKeyId = '019aa8f0-0000-7000-8000-000000000001';
const inviteId = '019aa8f0-0000-7000-8000-000000000002';
const secret = Buffer.from('PLAINTEXT-THAT-MUST-NOT-BE-FOUND');
const caKey = {
  caKeyId,
  zone: 'default',
  algorithm: 'ed25519',
  certificate: Buffer.from('a certificate'),
  privateKey: secret,
  createdAt: new Date('2026-11-22T00:00:00Z'),
};

const accepting = (epoch: number, refused: ResealOptions['refused'] = 'throw'): ResealOptions => ({
  accepted: [epoch],
  refused,
});

async function filled(settings = 1) {
  const { database } = await migratedDatabase();
  const keys = columnKeys(1);
  await saveCaKey(database.queries, keys, caKey, ports);
  await saveInvite(database.queries, keys, { inviteId, macKey: secret, createdBy: 'system', ttlMs: 60_000 }, ports);
  await database.transaction(async (queries) => {
    for (let index = 1; index <= settings; index += 1) {
      await saveSetting(queries, keys, { name: `smtp-${index}`, value: { host: 'mail.example' }, secret }, ports);
    }
    await saveSetting(queries, keys, { name: 'without a secret', value: null, secret: null }, ports);
  });
  return { database, keys };
}

async function sealedRows(database: Database): Promise<Buffer[]> {
  const found: Buffer[] = [];
  for (const { table, column } of sealedColumns) {
    const query = sql<{ sealed: Buffer }>`SELECT ${sql.ref(column)} AS sealed FROM ${sql.table(table)}
      WHERE ${sql.ref(column)} IS NOT NULL`;
    found.push(...(await query.execute(database.queries)).rows.map((row) => row.sealed));
  }
  return found;
}

describe('sealed columns', () => {
  it('hold the secret nowhere in the bytes of their tables, and give it back to who has the key', async () => {
    const { database, keys } = await filled();
    for (const { table } of sealedColumns) {
      const { rows } = await sql<{
        text: string;
      }>`SELECT ${sql.table(table)}::text AS text FROM ${sql.table(table)}`.execute(database.queries);
      expect(rows.length).toBeGreaterThan(0);
      for (const { text } of rows) {
        expect(text).not.toContain(secret.toString('hex'));
        expect(text).not.toContain(secret.toString());
      }
    }
    expect(await readCaKey(database.queries, keys, caKeyId)).toEqual(caKey);
    expect(await readSetting(database.queries, keys, 'smtp-1')).toEqual({
      name: 'smtp-1',
      value: { host: 'mail.example' },
      secret,
    });
  });

  it('do not open in another row', async () => {
    const { database, keys } = await filled(2);
    const stolen = tablesOf(database).selectFrom('settings').select('sealed_secret').where('name', '=', 'smtp-1');
    await tablesOf(database)
      .updateTable('settings')
      .set({ sealed_secret: stolen })
      .where('name', '=', 'smtp-2')
      .execute();
    await expect(readSetting(database.queries, keys, 'smtp-2')).rejects.toMatchObject({ code: 'damaged' });
  });

  it('are all sealed anew under the current epoch, over several pages, and open as before', async () => {
    const { database } = await filled(450);
    const next = columnKeys(2);
    const reseal = () =>
      database.transaction((queries) => resealColumns(queries, next, accepting(1), ports.randomness));
    expect(await reseal()).toEqual({ values: 452, left: [] });
    const place = { table: '', column: '', key: '' };
    const epochs = (await sealedRows(database)).map((sealed) => sealedColumnEpoch(place, sealed));
    expect(new Set(epochs)).toEqual(new Set([2]));
    expect((await readCaKey(database.queries, next, caKeyId))?.privateKey).toEqual(secret);
    expect((await readSetting(database.queries, next, 'smtp-450'))?.secret).toEqual(secret);
    expect(await reseal()).toEqual({ values: 0, left: [] });
  });

  it('stay as they were when one of them does not open', async () => {
    const { database } = await filled(3);
    await tablesOf(database)
      .updateTable('settings')
      .set({ sealed_secret: Buffer.alloc(80, 1) })
      .where('name', '=', 'smtp-3')
      .execute();
    const before = await sealedRows(database);
    const resealing = database.transaction((queries) =>
      resealColumns(queries, columnKeys(2), accepting(1), ports.randomness),
    );
    await expect(resealing).rejects.toMatchObject({ code: expect.stringMatching(/damaged|no-key/) });
    expect((await sealedRows(database)).map(String).toSorted()).toEqual(before.map(String).toSorted());
  });

  it('do not open without the epoch’s key', async () => {
    const { database } = await migratedDatabase();
    await saveCaKey(database.queries, columnKeys(2), caKey, ports);
    await expect(readCaKey(database.queries, columnKeys(1), caKeyId)).rejects.toMatchObject({ code: 'no-key' });
    expect(await readCaKey(database.queries, columnKeys(1), inviteId)).toBeUndefined();
  });

  it('of an earlier epoch than the accepted one are refused by name, or left as they are, and read by nobody', async () => {
    const { database } = await filled();
    const third = columnKeys(3);
    const reseal = (refused: ResealOptions['refused']) =>
      database.transaction((queries) => resealColumns(queries, third, accepting(2, refused), ports.randomness));
    const refused = {
      code: 'forged',
      exitCode: 20,
      message: expect.stringMatching(
        new RegExp(`ca_keys.sealed_private_key of ${caKeyId} is sealed under epoch 1.* epoch 3`),
      ),
    };
    const before = await sealedRows(database);
    await expect(reseal('throw')).rejects.toMatchObject(refused);
    expect(await sealedRows(database)).toEqual(before);
    // The invite is revoked in any case.
    expect(await reseal('leave')).toEqual({
      values: 1,
      left: [refused.message, expect.stringContaining('settings.sealed_secret of smtp-1 is sealed under epoch 1')],
    });
    await expect(readCaKey(database.queries, third, caKeyId)).rejects.toMatchObject(refused);
    await expect(readSetting(database.queries, third, 'smtp-1')).rejects.toMatchObject({ code: 'forged' });
    await expect(requireCurrentColumns(database.queries, third)).rejects.toMatchObject(refused);
  });

  it('of no epoch at all keep nobody from sealing the rest anew where that is asked', async () => {
    const { database } = await filled();
    const junk = Buffer.from('junk');
    await tablesOf(database).updateTable('node_invites').set({ sealed_mac_key: junk }).execute();
    await tablesOf(database)
      .updateTable('settings')
      .set({ sealed_secret: junk })
      .where('name', '=', 'smtp-1')
      .execute();
    const next = columnKeys(2);
    expect(await revokeOutdatedInvites(database.queries, next, ports)).toBe(1);
    expect(await resealColumns(database.queries, next, accepting(1, 'leave'), ports.randomness)).toEqual({
      values: 2,
      left: [expect.stringContaining('settings.sealed_secret of smtp-1 has 4 bytes')],
    });
    expect((await readCaKey(database.queries, next, caKeyId))?.privateKey).toEqual(secret);
  });
});
