import { describe, expect, it } from 'vitest';
import { createBackup } from '#operations/create-backup.ts';
import { exportSql } from '#operations/export-sql.ts';
import { saveCaKey } from '#store/ca-keys.ts';
import { saveSetting } from '#store/settings.ts';
import { makeCluster } from '../fixtures/cluster.ts';
import { exportedSql } from '../fixtures/exporting.ts';
import { abortedContext } from '../fixtures/host.ts';
import { damage, objectsOfTable } from '../fixtures/repository.ts';
import { addAuditEvents, addSettings, addUsers } from '../fixtures/rows.ts';
import { grammarFault, parseSql } from '../fixtures/sql-grammar.ts';

describe('an export', () => {
  it('keeps to the SQL that PostgreSQL and CockroachDB share, in statements of bounded size', async () => {
    const { context, cluster } = await makeCluster();
    await addUsers(cluster.database, 1200, "exam\\ple's.org\n");
    await addSettings(cluster.database, 300);
    await addAuditEvents(cluster.database, 20);
    const { id, rows } = await createBackup(context, cluster, { kind: 'manual' });
    const { sql, exported } = await exportedSql(context, cluster, id);
    expect(exported).toMatchObject({ id, rows, bytes: sql.length, healed: [] });

    const statements = parseSql(sql.toString());
    expect(statements.flatMap((statement) => grammarFault(statement) ?? [])).toEqual([]);
    expect(Math.max(...statements.map(({ text }) => text.length))).toBeLessThan(600 * 1024);
    expect(statements.slice(0, 6).map(({ text }) => text.slice(text.search(/^[A-Z]/m)).slice(0, 28))).toEqual([
      "SET client_encoding = 'UTF8'",
      'SET standard_conforming_stri',
      'SET search_path = public;',
      'SET statement_timeout = 0;',
      'CREATE TABLE import_marker (',
      'INSERT INTO import_marker (p',
    ]);
    expect(statements.at(-1)?.text).toBe("UPDATE import_marker SET state = 'complete' WHERE part >= 0;");
    const kinds = statements.map(({ text }) => /^(?:CREATE \w+|INSERT INTO "|UPDATE)/m.exec(text)?.[0]);
    expect(kinds.lastIndexOf('CREATE TABLE')).toBeLessThan(kinds.indexOf('INSERT INTO "'));
    expect(kinds.lastIndexOf('INSERT INTO "')).toBeLessThan(kinds.indexOf('CREATE INDEX'));
    const firstForeignKey = statements.findIndex(({ text }) => text.includes(' FOREIGN KEY '));
    expect(kinds.lastIndexOf('CREATE INDEX')).toBeLessThan(firstForeignKey);
  });

  it('knows SQL that is not in the shared grammar', () => {
    for (const text of [
      'COPY users FROM STDIN;',
      'LOCK TABLE users;',
      'SET row_security = off;',
      'BEGIN;',
      'DROP DATABASE x;',
      'DROP TABLE users CASCADE;',
    ])
      expect(parseSql(text).map(grammarFault)).toEqual([expect.any(String)]);
    for (const text of ['SELECT $$x$$;', 'INSERT INTO t VALUES (1)', '\\connect x', "SELECT 'a\\b';"])
      expect(() => parseSql(text)).toThrow(SyntaxError);
  });

  it('holds no sealed secret, while what is public in it can be read', async () => {
    const { context, cluster } = await makeCluster();
    const { keyring, database } = cluster;
    const privateKey = Buffer.from('the private key of the authority, planted by a test');
    const secret = Buffer.from('a secret of a setting, planted by a test');
    const certificate = Buffer.from('a certificate that everybody may see');
    const createdAt = context.clock.now();
    const caKey = { caKeyId: '019aa000-0000-7000-8000-000000000001', zone: 'demo', algorithm: 'Ed25519' };
    await saveCaKey(database.queries, keyring, { ...caKey, certificate, privateKey, createdAt }, context);
    await saveSetting(database.queries, keyring, { name: 'smtp', value: 'mail.example.org', secret }, context);
    const { id } = await createBackup(context, cluster, { kind: 'manual' });
    const { sql } = await exportedSql(context, cluster, id);

    const spelled = (bytes: Buffer): string[] => [
      bytes.toString('latin1'),
      bytes.toString('hex'),
      bytes.toString('base64'),
    ];
    const { currentEpoch } = keyring;
    const keys = [currentEpoch.column, currentEpoch.chunk, currentEpoch.manifest, currentEpoch.chunkId];
    const found = (bytes: Buffer): string[] => spelled(bytes).filter((text) => sql.includes(text));
    expect([privateKey, secret, ...keys].flatMap(found)).toEqual([]);
    expect(found(certificate)).toEqual([certificate.toString('hex')]);
    expect(sql.includes('mail.example.org')).toBe(true);
  });

  it('takes rows from another object where one is damaged, and says so', async () => {
    const { context, host, cluster } = await makeCluster();
    await addUsers(cluster.database, 3);
    const first = await createBackup(context, cluster, { kind: 'manual' });
    const [object] = await objectsOfTable(host, cluster.keyring, first.id, 'users');
    damage(host, 'bit-flipped', [object!]);
    await expect(exportedSql(context, cluster, first.id)).rejects.toMatchObject({ code: 'damaged', exitCode: 20 });

    const { verifyBackups } = await import('#operations/verify-backup.ts');
    await verifyBackups(context, { store: host.store, keyring: cluster.keyring }, [first.id]);
    await createBackup(context, cluster, { kind: 'manual' });
    const { sql, exported } = await exportedSql(context, cluster, first.id);
    expect(exported.healed).toMatchObject([{ name: object }]);
    expect(sql.includes('User 3')).toBe(true);
    expect(context.notes.some((note) => note.includes(object!))).toBe(true);
  });

  it('ends without its last statement when it is interrupted', async () => {
    const { context, cluster } = await makeCluster();
    const { id } = await createBackup(context, cluster, { kind: 'manual' });
    const interrupted = abortedContext({ point: 'export.chunk-written' });
    const pieces: string[] = [];
    const sink = { write: async (bytes: Uint8Array) => void pieces.push(Buffer.from(bytes).toString()) };
    const repository = { keyring: cluster.keyring, store: cluster.store! };
    await expect(exportSql(interrupted.context, repository, id, sink)).rejects.toBe(interrupted.reason);
    expect(pieces.join('')).toContain("'begun'");
    expect(pieces.join('')).not.toContain("SET state = 'complete'");
  });
});
