import type { Database } from '#ports/database.ts';
import { describeOptions, type SessionOptions } from '#postgresql-protocol/connection-options.ts';
import { openQueryPool } from '#postgresql-protocol/query-pool.ts';
import { runAgain, runSerializable } from '#postgresql-protocol/serializable.ts';
import { queryLimits, withSession } from '#postgresql-protocol/session.ts';
import { countRowsSince, countTableRows, placeOf, tableColumns, tableNames } from './catalog.ts';
import { readAccessRules } from './access-rules.ts';
import { readDefinitions } from './definitions.ts';
import { cancelLongStatements } from './end-sessions.ts';
import { detachForeignKeys } from './indexes.ts';
import { openSnapshot } from './snapshot.ts';

const defaultConnections = 4;
const withoutLimit = `SELECT set_config('statement_timeout', '0', true)`;

export function openDatabase(server: SessionOptions, name: string, connections = defaultConnections): Database {
  const options: SessionOptions = { ...server, database: name };
  const location = describeOptions(options);
  const pool = openQueryPool(options, name, connections);
  /** Everything that is done here may have to give way to others, and is then done again. */
  const unlimited = <T>(work: (rows: typeof pool.rows) => Promise<T>): Promise<T> =>
    runAgain(location, () =>
      pool.inTransaction(async (rows) => {
        await rows(withoutLimit);
        return await work(rows);
      }),
    );
  return {
    name,
    queries: pool.queries,
    connection: { engine: 'cockroachdb', options },
    runScript: async (sql) => void (await unlimited((rows) => rows(sql))),
    transaction: (work) => runSerializable(pool.queries, location, work),
    snapshot: () => openSnapshot(options),
    place: placeOf,
    tableNames: () => tableNames(pool.rows),
    tableColumns: (table) => tableColumns(pool.rows, table),
    definitions: () => readDefinitions(pool.rows),
    accessRules: () => readAccessRules(pool.rows, name),
    detachIndexes: () => detachForeignKeys(pool.rows),
    countRows: (table) => unlimited((rows) => countTableRows(rows, table)),
    countRowsSince: (table, marker) => unlimited((rows) => countRowsSince(rows, table, marker)),
    cancelLongStatements: () =>
      withSession(options, name, queryLimits, ({ rows }) => cancelLongStatements(rows, options)),
    close: () => pool.close(),
  };
}
