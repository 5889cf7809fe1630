import { sql, type Kysely } from 'kysely';
import { expect, onTestFinished } from 'vitest';
import type { Database, DatabaseConnection, DatabaseServer, TableRange } from './database.ts';
import type { RowReader, RowWriter } from './row-transfer.ts';

export interface ServerUnderTest {
  readonly server: DatabaseServer;
  /** Connects as another role, to the same live name. */
  connectAs(role: string, password: string): Promise<DatabaseServer>;
  openReader(connection: DatabaseConnection, snapshotToken: string): Promise<RowReader>;
  openWriter(connection: DatabaseConnection): Promise<RowWriter>;
  stop(): Promise<void>;
}

/** What a test of the contract is written with that an engine may not have; the promise itself holds on every engine. */
export type Capability =
  | 'sessions are ended from outside'
  | 'anonymous blocks'
  | 'snapshots lock and end'
  | 'pages'
  | 'every type'
  | 'PostgreSQL roles and grants'
  | 'empty databases have a size'
  | 'indexes come off'
  | 'names of unnamed checks';

type Declare = (name: string, body: () => void | Promise<void>) => void;

/** What the groups of the contract work with. */
export interface ContractScope {
  readonly lacks: ReadonlySet<Capability>;
  /** Declares a test or group that is written with what the engine has; nothing is declared where it lacks that. */
  with(capability: Capability, declare: Declare): Declare;
  readonly subject: ServerUnderTest;
  readonly server: DatabaseServer;
  freshName(): string;
  /** A new database, after a script; closed at the end of the test. */
  openFresh(script?: string, connections?: number): Promise<Database>;
  openExisting(name: string, script?: string, connections?: number): Promise<Database>;
  /** The database from which roles are made and sessions ended. */
  admin(): Promise<Database>;
}

/** `subject` is asked for when a test runs, not when it is declared. */
export function contractScope(
  subject: () => ServerUnderTest,
  lacks: ReadonlySet<Capability> = new Set(),
): ContractScope {
  let counter = 0;
  const freshName = (): string => `contract_${(counter += 1)}`;
  const openExisting = async (name: string, script = '', connections = 4): Promise<Database> => {
    const database = subject().server.open(name, { connections });
    onTestFinished(() => database.close());
    if (script !== '') await database.runScript(script);
    return database;
  };
  return {
    lacks,
    with: (capability, declare) => (lacks.has(capability) ? () => {} : declare),
    get subject() {
      return subject();
    },
    get server() {
      return subject().server;
    },
    freshName,
    openExisting,
    openFresh: async (script, connections) => {
      const name = freshName();
      await subject().server.createDatabase(name);
      return openExisting(name, script, connections);
    },
    admin: () => openExisting('postgres'),
  };
}

export async function valueOf(
  database: Database,
  query: { execute(queries: Kysely<unknown>): Promise<{ rows: unknown[] }> },
): Promise<unknown> {
  return ((await query.execute(database.queries)).rows[0] as { value: unknown }).value;
}

export async function databaseFacts(root: Database, name: string): Promise<unknown> {
  const { rows } =
    await sql`SELECT pg_get_userbyid(d.datdba) AS owner, d.datconnlimit AS limit, d.datcollate, d.datctype, d.datlocprovider,
      ARRAY(SELECT a::text FROM aclexplode(d.datacl) a ORDER BY 1) AS grants,
      ARRAY(SELECT (s.setrole, unnest(s.setconfig))::text FROM pg_db_role_setting s WHERE s.setdatabase = d.oid ORDER BY 1) AS settings
    FROM pg_database d WHERE d.datname = ${name}`.execute(root.queries);
  return rows[0];
}

export function collect(rows: string[]): { row(buffer: Buffer, begin: number, end: number): void; ready(): undefined } {
  return { row: (buffer, begin, end) => void rows.push(buffer.toString('latin1', begin, end)), ready: () => undefined };
}

/** Rows as latin1 text: one character a byte. */
export async function readAll(
  subject: ServerUnderTest,
  database: Database,
  token: string,
  ranges: readonly TableRange[],
): Promise<string[]> {
  const reader = await subject.openReader(database.connection, token);
  try {
    const rows: string[] = [];
    let counted = 0;
    for (const range of ranges) counted += await reader.read(range, collect(rows));
    expect(counted).toBe(rows.length);
    return rows;
  } finally {
    await reader.close();
  }
}

export async function snapshotRows(
  subject: ServerUnderTest,
  database: Database,
  table: string,
  ready: () => Promise<void> | undefined = () => undefined,
  onRow: () => void = () => undefined,
): Promise<string[]> {
  const snapshot = await database.snapshot([table]);
  const reader = await subject.openReader(database.connection, snapshot.token);
  try {
    const rows: string[] = [];
    const { row } = collect(rows);
    for (const range of await snapshot.ranges(table)) {
      await reader.read(range, { row: (buffer, begin, end) => (row(buffer, begin, end), onRow()), ready });
    }
    return rows;
  } finally {
    await reader.close();
    await snapshot.close();
  }
}

export async function rangeRows(subject: ServerUnderTest, database: Database, table: string): Promise<string[][]> {
  const snapshot = await database.snapshot([table]);
  try {
    const parts: string[][] = [];
    for (const range of await snapshot.ranges(table))
      parts.push(await readAll(subject, database, snapshot.token, [range]));
    return parts;
  } finally {
    await snapshot.close();
  }
}

/** Lets nobody go on before `parties` have come; later ones are let through. */
export function barrier(parties: number): () => Promise<void> {
  let arrived = 0;
  let open: () => void;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return () => {
    arrived += 1;
    if (arrived >= parties) open();
    return opened;
  };
}

export async function eventually(check: () => Promise<void>): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await check();
    } catch (error) {
      if (attempt === 100) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
