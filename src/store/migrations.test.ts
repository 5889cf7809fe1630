import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';
import { backedUpTables, loadMigrations, parseMigration } from './migrations.ts';
import { splitStatements } from './sql-statements.ts';

const parse = (script: string, name = '0001-test.sql') => parseMigration(name, Buffer.from(script));

/** An import that was brought forward already is compared in the columns of its backup. */
it('no migration takes a table or column away from what is backed up, or makes another type of it', () => {
  const migrations = loadMigrations();
  for (const { version, droppedTables } of migrations) {
    const before = backedUpTables(version - 1);
    expect(droppedTables.filter((table) => before.includes(table))).toEqual([]);
  }
  const changes = migrations
    .flatMap(({ sql: text }) => splitStatements(text))
    .filter((each) => each.startsWith('ALTER TABLE '));
  expect(changes.length).toBeGreaterThan(0);
  for (const change of changes) expect(change).toMatch(/^ALTER TABLE [a-z_]+ ADD (COLUMN|CONSTRAINT) /);
});

describe('parseMigration', () => {
  it('tells version, name, checksum and tables', () => {
    expect(
      parse('-- ephemeral: b\nCREATE TABLE a (c UUID);\nCREATE TABLE b (c UUID);\n', '0007-two-tables.sql'),
    ).toMatchObject({
      version: 7,
      name: 'two-tables',
      checksum: 'f80dbcf0ca5e1d024ff28e0c3e0fe775731c40eae85c322804305a1b6ebbab1c',
      createdTables: ['a', 'b'],
      ephemeralTables: ['b'],
    });
  });

  it.each([
    ['rows in a table that is backed up', 'CREATE TABLE a (b UUID);\nINSERT INTO a (b) VALUES (NULL);'],
    ['an ephemeral table that it does not create', '-- ephemeral: b\nCREATE TABLE a (b UUID);'],
    ['a sequence', 'CREATE SEQUENCE a;'],
    ['a view', 'CREATE VIEW a AS SELECT 1;'],
    ['an extension', 'CREATE EXTENSION pgcrypto;'],
    ['a renamed table', 'ALTER TABLE a RENAME TO b;'],
    ['a table in another schema', 'CREATE TABLE other.a (b UUID);'],
    ['a conditional table', 'CREATE TABLE IF NOT EXISTS a (b UUID);'],
  ])('refuses %s', (_what, script) => {
    expect(() => parse(script)).toThrow(SyntaxError);
  });

  it('refuses a file name without version and name', () => {
    expect(() => parse('', '1-first.sql')).toThrow(/not the name of a migration/);
  });
});

describe('backedUpTables', () => {
  const migrations = [
    parse('-- ephemeral: locks\nCREATE TABLE zebras (a UUID);\nCREATE TABLE locks (a UUID);'),
    parse('CREATE TABLE apes (a UUID);', '0002-apes.sql'),
    parse('DROP TABLE zebras;', '0003-no-zebras.sql'),
  ];

  it('is sorted, without ephemeral tables, and depends on the version', () => {
    expect(backedUpTables(0, migrations)).toEqual([]);
    expect(backedUpTables(1, migrations)).toEqual(['zebras']);
    expect(backedUpTables(2, migrations)).toEqual(['apes', 'zebras']);
    expect(backedUpTables(3, migrations)).toEqual(['apes']);
  });

  it('holds what must survive and nothing that must not', () => {
    const tables = backedUpTables(loadMigrations().length);
    expect(tables).toEqual(
      expect.arrayContaining(['audit_events', 'ca_keys', 'cluster', 'key_slots', 'restores', 'settings']),
    );
    for (const table of ['leases', 'sessions', 'join_requests', 'node_invites', 'servers'])
      expect(tables).not.toContain(table);
  });
});

describe('loadMigrations', () => {
  it('numbers the shipped migrations without gaps', () => {
    const versions = loadMigrations().map((migration) => migration.version);
    expect(versions).toEqual(versions.map((_, index) => index + 1));
  });

  it('refuses a directory in which one is missing', () => {
    const directory = mkdtempSync(path.join(tmpdir(), 'migrations-'));
    onTestFinished(() => rmSync(directory, { recursive: true }));
    writeFileSync(path.join(directory, '0002-second.sql'), 'CREATE TABLE a (b UUID);');
    expect(() => loadMigrations(pathToFileURL(`${directory}/`))).toThrow(/migration 1 is missing/);
  });
});
