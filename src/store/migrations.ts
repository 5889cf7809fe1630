import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { excerpt, splitStatements } from './sql-statements.ts';

/** One forward step of the schema. Once released, a migration never changes: its checksum stands in every manifest. */
export interface Migration {
  /** 1, 2, 3 … without gaps. */
  readonly version: number;
  readonly name: string;
  readonly sql: string;
  /** SHA-256 of the file, 64 hex digits. */
  readonly checksum: string;
  /** Tables it creates, in order. */
  readonly createdTables: readonly string[];
  readonly droppedTables: readonly string[];
  /** Those created tables that are never backed up and begin with the rows declared here. */
  readonly ephemeralTables: readonly string[];
}

/** The shipped migrations in the order of their versions. */
export function loadMigrations(directory: URL = new URL('./migrations/', import.meta.url)): Migration[] {
  const migrations = readdirSync(directory)
    .filter((file) => file.endsWith('.sql'))
    .toSorted()
    .map((file) => parseMigration(file, readFileSync(new URL(file, directory))));
  migrations.forEach((migration, index) => {
    if (migration.version !== index + 1) throw new SyntaxError(`migration ${index + 1} is missing`);
  });
  return migrations;
}

/** `fileName` is `0001-name.sql`. A `SyntaxError` for anything outside the subset that every engine shares. */
export function parseMigration(fileName: string, bytes: Uint8Array): Migration {
  const [, version, name] = /^(\d{4})-([a-z0-9-]+)\.sql$/.exec(fileName) ?? [];
  if (version === undefined || name === undefined) throw new SyntaxError(`not the name of a migration: ${fileName}`);
  const sql = Buffer.from(bytes).toString('utf8');
  const ephemeralTables = parseEphemeral(sql);
  const createdTables: string[] = [];
  const droppedTables: string[] = [];
  for (const statement of splitStatements(sql)) {
    const { kind, table } = classify(statement);
    if (kind === 'create-table') createdTables.push(table);
    if (kind === 'drop-table') droppedTables.push(table);
    if (kind === 'insert' && !ephemeralTables.includes(table)) {
      throw new SyntaxError(`${fileName} inserts rows into ${table}, which is backed up`);
    }
  }
  const unknown = ephemeralTables.find((table) => !createdTables.includes(table));
  if (unknown !== undefined) throw new SyntaxError(`${fileName} declares ${unknown} ephemeral but does not create it`);
  const checksum = createHash('sha256').update(bytes).digest('hex');
  return { version: Number(version), name, sql, checksum, createdTables, droppedTables, ephemeralTables };
}

/** The tables whose rows are in a backup of this schema version, sorted. */
export function backedUpTables(version: number, migrations: readonly Migration[] = loadMigrations()): string[] {
  const applied = migrations.filter((migration) => migration.version <= version);
  const left = new Set(applied.flatMap((migration) => [...migration.ephemeralTables, ...migration.droppedTables]));
  return applied.flatMap((migration) => migration.createdTables.filter((table) => !left.has(table))).toSorted();
}

function parseEphemeral(sql: string): string[] {
  const [, list] = /^-- ephemeral: ([a-z0-9_, ]+)$/m.exec(sql) ?? [];
  return list === undefined ? [] : list.split(',').map((table) => table.trim());
}

type StatementKind = 'create-table' | 'drop-table' | 'insert' | 'other';

const statementForms: readonly (readonly [StatementKind, RegExp])[] = [
  ['create-table', /^CREATE TABLE ([a-z0-9_]+) \(/],
  ['drop-table', /^DROP TABLE ([a-z0-9_]+)$/],
  ['insert', /^INSERT INTO ([a-z0-9_]+) /],
  ['other', /^CREATE (?:UNIQUE )?INDEX [a-z0-9_]+ ON ([a-z0-9_]+) \(/],
  ['other', /^DROP INDEX ([a-z0-9_]+)$/],
  ['other', /^ALTER TABLE ([a-z0-9_]+) (?!RENAME TO)/],
];

function classify(statement: string): { kind: StatementKind; table: string } {
  for (const [kind, form] of statementForms) {
    const table = form.exec(statement)?.[1];
    if (table !== undefined) return { kind, table };
  }
  throw new SyntaxError(`not a statement that migrations may use: ${excerpt(statement)}`);
}
