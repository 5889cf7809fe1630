import type { Kysely } from 'kysely';
import type { CrashPoints } from './crash-points.ts';

/**
 * The server that holds the live database (`malbork`) and the databases beside it.
 *
 * Adapters throw `database-unreachable` when the server does not answer, refuses us or ends a connection,
 * `no-space` when it has none, `version-incompatible` for an engine or major they do not know.
 */
export interface DatabaseServer {
  readonly engine: DatabaseEngine;
  /** `18.4`; for people and manifests. */
  readonly version: string;
  /** Name of the live database, normally `malbork`. */
  readonly liveName: string;
  /** What a person calls it, without secrets. */
  readonly location: string;

  /** Names that begin with `prefix`, sorted. */
  databaseNames(prefix: string): Promise<string[]>;
  /** Changes whenever the name comes to mean another database; `undefined` where there is none. */
  databaseIdentity(name: string): Promise<string | undefined>;
  /** UTF-8, empty. With `like`, owner, grants and settings are those of that database. Fails where the name is taken. */
  createDatabase(name: string, options?: { readonly like?: string }): Promise<void>;
  /** Ends its sessions and drops it; a database that is not there counts as dropped. */
  dropDatabase(name: string): Promise<void>;
  /** Opens a pool of at most `connections`; nothing is sent until the first query. */
  open(name: string, options?: { readonly connections?: number }): Database;
  /** Bytes on disk; 0 where there is none. */
  databaseSizeBytes(name: string): Promise<number>;
  /** Bytes free where the server keeps its data; `undefined` where that cannot be asked, as over the network. */
  freeBytes(): Promise<number | undefined>;
  /** What a restore needs and this role may lack; empty when all is well. Each entry is a sentence. */
  missingPrivileges(): Promise<string[]>;
  /**
   * Makes `staging` the live database and keeps the old one as `before`: all sessions ended, then both renames in
   * one step that either happens whole or not at all. On CockroachDB they are two steps: a failure takes the first one
   * back, and after a crash between them there is no live database, until the same call with `expectedLive` undefined.
   * `expectedLive` is `databaseIdentity(live)` as recorded at the start; another identity now → `lease-held`, nothing changed.
   * `notAfter`, by the server's clock, is decided when nobody can reach the live database any more; later → `lease-held`, nothing changed.
   */
  swap(names: SwapNames): Promise<void>;
  close(): Promise<void>;
}

export type DatabaseEngine = 'postgresql' | 'cockroachdb';

export interface SwapNames {
  readonly live: string;
  readonly staging: string;
  readonly before: string;
  readonly expectedLive: string | undefined;
  /** Until when lease and pause of the servers are known to last: a process that was stopped swaps nothing when it comes back. */
  readonly notAfter?: Date | undefined;
  /** Reached where the swap is more than one step. */
  readonly crashPoints?: CrashPoints | undefined;
}

/** One database: typed queries for the manager's own tables, and the bulk paths of backup and restore. */
export interface Database {
  readonly name: string;
  /**
   * Queries; the table types are the store's. int8 arrives as number, timestamptz as Date, bytea as Buffer; a value that these
   * cannot hold is `damaged`, with its table, column and value.
   */
  readonly queries: Kysely<unknown>;
  /** JSON with which a worker thread opens its own connection (see `worker.ts`). Holds the password: never log it. */
  readonly connection: DatabaseConnection;

  /** Runs a script of several statements in one transaction; used by migrations. */
  runScript(sql: string): Promise<void>;
  /**
   * Runs `work` in one SERIALIZABLE transaction, again from the start on a serialization failure (SQLSTATE 40001, 40P01),
   * at most 10 times. `work` must have no effect outside the transaction.
   */
  transaction<T>(work: (queries: Kysely<unknown>) => Promise<T>): Promise<T>;
  /**
   * One point in time for several connections. On PostgreSQL every table is first locked ACCESS SHARE, so that no
   * TRUNCATE or DROP can empty it under the snapshot.
   */
  snapshot(tables: readonly string[]): Promise<Snapshot>;
  /**
   * What the server calls this database and a table in it: the same as long as both exist, whatever they are renamed to, and
   * another one for every copy that SQL makes of them. PostgreSQL's also says which server. Asked in the given transaction.
   */
  place(queries: Kysely<unknown>, table: string): Promise<string>;
  /** Tables of the schema `public`, sorted. */
  tableNames(): Promise<string[]>;
  /** Columns in their order in the table, the primary key's first; `keyColumns` counts those. */
  tableColumns(table: string): Promise<TableColumns>;
  /**
   * All that was made in this database besides rows: tables, columns, constraints, indexes, and whatever acts by itself,
   * such as triggers, rules and functions. Sorted; the same for two databases of one server that were made alike.
   */
  definitions(): Promise<Definition[]>;
  /**
   * Whom the database lets in, and with which settings, beyond what a new one does: privileges of others than its owner and
   * this role, tables of other owners, settings that sessions begin with. Sentences, sorted; they name no database.
   */
  accessRules(): Promise<string[]>;
  /** Drops every index and foreign key that is not needed while rows are loaded. */
  detachIndexes(): Promise<DetachedIndexes>;
  /** Number of rows now. */
  countRows(table: string): Promise<number>;
  /** Rows that were inserted or changed by transactions later than the one that wrote the marker; all where that is not there. */
  countRowsSince(table: string, marker: RowMarker): Promise<number>;
  /** Cancels statements of this pool and its snapshots that have run for longer than a second; they fail, connections stay. */
  cancelLongStatements(): Promise<void>;
  close(): Promise<void>;
}

/** Names one row that never changes, by the value of a unique column. */
export interface RowMarker {
  readonly table: string;
  readonly column: string;
  readonly value: number;
}

export interface TableColumns {
  readonly columns: readonly TableColumn[];
  readonly keyColumns: number;
}

export interface Definition {
  /** `null` for what belongs to no table. */
  readonly table: string | null;
  /** For people, and to be compared. */
  readonly text: string;
}

export interface TableColumn {
  readonly name: string;
  /** The engine-neutral type: `uuid text bytea boolean int4 int8 float8 timestamptz jsonb …`. */
  readonly type: string;
}

export interface Snapshot {
  /** The server's time of the snapshot. */
  readonly takenAt: Date;
  /** Lets a worker's connection see the same point in time. Valid while this snapshot is open. */
  readonly token: string;
  /** Splits a table into parts that together hold each of its rows once; the parts of unchanged rows stay the same as a table grows. */
  ranges(table: string): Promise<TableRange[]>;
  /** Rows at the snapshot, counted by the server on its own. */
  countRows(table: string): Promise<number>;
  close(): Promise<void>;
}

/** A part of a table that one COPY reads. */
export interface TableRange {
  readonly table: string;
  readonly columns: readonly string[];
  readonly keyColumns: number;
  /** SQL condition made by the adapter from numbers of its own; `null`: the whole table. */
  readonly condition: string | null;
  /** For progress only. */
  readonly estimatedBytes: number;
}

export interface DetachedIndexes {
  /** Builds them again and checks that all definitions are what they were. */
  attach(): Promise<void>;
}

export type DatabaseConnection = {
  readonly engine: DatabaseEngine;
  readonly options: { readonly [name: string]: unknown };
};
