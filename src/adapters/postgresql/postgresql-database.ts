import type { Database } from '#ports/database.ts';
import { cancelLongStatements } from './cancel-statements.ts';
import type { RunningBackends } from '#postgresql-protocol/running-backends.ts';
import { countRowsSince, countTableRows, placeOf, tableColumns, tableNames } from './catalog.ts';
import { describeOptions, type SessionOptions } from '#postgresql-protocol/connection-options.ts';
import { quoteTable } from '#postgresql-protocol/identifier-quoting.ts';
import { readAccessRules } from './access-rules.ts';
import { readDefinitions } from './definitions.ts';
import { detachIndexes } from './indexes.ts';
import { openQueryPool } from '#postgresql-protocol/query-pool.ts';
import { runSerializable } from '#postgresql-protocol/serializable.ts';
import { openSnapshot } from './snapshot.ts';

const defaultConnections = 4;

export function openDatabase(server: SessionOptions, name: string, connections = defaultConnections): Database {
  const options: SessionOptions = { ...server, database: name };
  const running: RunningBackends = new Set();
  const pool = openQueryPool(options, name, connections, running);
  return {
    name,
    queries: pool.queries,
    connection: { engine: 'postgresql', options },
    runScript: (sql) =>
      pool.inTransaction(async (rows) => {
        await rows(`SELECT set_config('statement_timeout', '0', true)`);
        // Without parameters several statements are one message, and so one step.
        await rows(sql);
      }),
    transaction: (work) => runSerializable(pool.queries, describeOptions(options), work),
    snapshot: (tables) => openSnapshot(options, tables, running),
    place: placeOf,
    tableNames: () => tableNames(pool.rows),
    tableColumns: (table) => tableColumns(pool.rows, table),
    definitions: () => readDefinitions(pool.rows),
    accessRules: () => readAccessRules(pool.rows),
    detachIndexes: () => detachIndexes(pool, Math.min(2, connections)),
    countRows: (table) =>
      pool.inTransaction(async (rows) => {
        await rows(`SELECT set_config('statement_timeout', '0', true)`);
        return countTableRows(rows, quoteTable(table));
      }),
    countRowsSince: (table, marker) =>
      pool.inTransaction(async (rows) => {
        await rows(`SELECT set_config('statement_timeout', '0', true)`);
        return countRowsSince(rows, table, marker);
      }),
    cancelLongStatements: () => cancelLongStatements(options, running),
    close: () => pool.close(),
  };
}
