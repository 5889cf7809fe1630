import { X509Certificate } from 'node:crypto';
import { sql } from 'kysely';
import { describe, expect, it } from 'vitest';
import type { Database } from '#ports/database.ts';
import { readAuditHead, verifyAuditChain } from '#store/audit.ts';
import { backedUpTables, loadMigrations } from '#store/migrations.ts';
import { syncNodes } from '#store/nodes.ts';
import { sealedColumns } from '#store/sealed-values.ts';
import { tablesOf } from '#store/tables.ts';
import { changeContents, fillWithContents } from '../../demo/contents.ts';
import { columnKeys } from './column-keys.ts';
import { migratedDatabase, ports } from './store-database.ts';

const clock = { ...ports.clock, now: () => new Date('2026-11-22T12:00:00Z') };
const fixedPorts = { clock, randomness: ports.randomness };
const node = {
  nodeId: '01890a5d-ac96-774b-bcce-b302099a8057',
  name: 'host-a',
  site: null,
  credentialId: '019aa8f0-0000-7000-8000-000000000001',
  hardwareIdentity: 'software:a',
  sealingProvider: 'software',
  grade: 'unattested',
  publicKey: Buffer.alloc(32).toString('base64'),
} as const;
const keyring = {
  ...columnKeys(1),
  membership: { number: 1, nodes: [node], currentEpoch: 1, keyGeneration: 1 },
};

async function filled(auditEvents: number) {
  const { database } = await migratedDatabase();
  await syncNodes(database.queries, keyring.membership, fixedPorts);
  await fillWithContents(database, keyring, fixedPorts, { auditEvents });
  return database;
}

/** Every row as JSON, without the sealed columns, whose nonces are random. */
async function contentsOf(database: Database): Promise<Record<string, unknown>> {
  const contents: Record<string, unknown> = {};
  for (const table of backedUpTables(loadMigrations().length)) {
    const sealed = sealedColumns.find((place) => place.table === table)?.column ?? 'none';
    const { rows } =
      await sql`SELECT to_jsonb(t) - ${sealed}::text AS row FROM ${sql.table(table)} t ORDER BY 1`.execute(
        database.queries,
      );
    contents[table] = rows;
  }
  return contents;
}

describe('the contents of the demo', () => {
  it('are the same for the same seed', async () => {
    const [first, second] = [await filled(50), await filled(50)];
    expect(await contentsOf(first)).toEqual(await contentsOf(second));
  });

  it('fill every table of the control plane and give an intact audit log of the length asked for', async () => {
    const database = await filled(6001);
    for (const table of [
      'users',
      'api_tokens',
      'apps',
      'builds',
      'tasks',
      'ca_keys',
      'certificates',
      'settings',
      'nodes',
    ]) {
      expect(await database.countRows(table), table).toBeGreaterThan(0);
    }
    expect(await verifyAuditChain(database.queries)).toMatchObject({ position: 6001 });
  });

  it('have certificates that their authorities signed', async () => {
    const database = await filled(1);
    const tables = tablesOf(database);
    const authorities = await tables.selectFrom('ca_keys').selectAll().execute();
    const rows = await tables.selectFrom('certificates').selectAll().execute();
    const issuers = new Map(authorities.map((row) => [row.ca_key_id, new X509Certificate(row.certificate)]));
    for (const row of rows) {
      const certificate = new X509Certificate(row.certificate!);
      const issuer = issuers.get(row.ca_key_id)!;
      expect(certificate.verify(issuer.publicKey)).toBe(true);
      expect(certificate.checkIssued(issuer)).toBe(true);
      expect(certificate.checkHost(row.subject)).toBe(row.subject);
      expect(certificate.serialNumber.toLowerCase()).toBe(row.serial_number);
      expect(certificate.validToDate).toEqual(row.not_after);
    }
    expect([...issuers.values()].every((issuer) => issuer.ca)).toBe(true);
  });

  it('change as they do in a day, and the audit log goes on', async () => {
    const database = await filled(100);
    const before = await readAuditHead(database.queries);
    await changeContents(database, keyring, fixedPorts, { auditEvents: 40 });
    expect(await verifyAuditChain(database.queries, before)).toMatchObject({ position: 140 });
    const pending = await tablesOf(database)
      .selectFrom('builds')
      .select('build_id')
      .where('status', '=', 'PENDING')
      .execute();
    expect(pending).toEqual([]);
  });
});
