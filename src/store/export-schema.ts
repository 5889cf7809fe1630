import type { Migration } from './migrations.ts';
import { excerpt, splitStatements } from './sql-statements.ts';

/** The schema of one version in the order in which rows are loaded fastest. Statements have no closing semicolon. */
export interface ExportSchema {
  /** Before the rows of the backup, in the order of the migrations, with the rows that they declare for ephemeral tables. */
  readonly tables: readonly string[];
  /** After the rows: indexes, then foreign keys. */
  readonly indexes: readonly string[];
  readonly foreignKeys: readonly string[];
}

interface Deferred {
  readonly table: string;
  readonly name: string;
  readonly statement: string;
}

/**
 * What the migrations up to `version` make, with indexes and foreign keys put off. Names are those that PostgreSQL gives
 * itself, so that the result cannot be told from a migrated database.
 */
export function exportSchema(migrations: readonly Migration[], version: number): ExportSchema {
  const tables: string[] = [];
  const indexes = new Deferral();
  const foreignKeys = new Deferral();
  for (const statement of migrations.slice(0, version).flatMap(({ sql }) => splitStatements(sql))) {
    const [, index, indexedTable] = /^CREATE (?:UNIQUE )?INDEX ([a-z0-9_]+) ON ([a-z0-9_]+) /.exec(statement) ?? [];
    const [, droppedIndex] = /^DROP INDEX ([a-z0-9_]+)$/.exec(statement) ?? [];
    const [, droppedTable] = /^DROP TABLE ([a-z0-9_]+)$/.exec(statement) ?? [];
    if (index !== undefined) indexes.add({ table: indexedTable!, name: index, statement });
    else if (droppedIndex !== undefined) indexes.remove((each) => each.name === droppedIndex);
    else {
      if (droppedTable !== undefined) for (const each of [indexes, foreignKeys]) each.remove(onTable(droppedTable));
      const rest = putOffForeignKeys(statement, foreignKeys);
      if (rest !== undefined) tables.push(rest);
    }
  }
  return { tables, indexes: indexes.statements, foreignKeys: foreignKeys.statements };
}

const onTable =
  (table: string) =>
  (each: Deferred): boolean =>
    each.table === table;

class Deferral {
  #deferred: Deferred[] = [];

  add(deferred: Deferred): void {
    this.#deferred.push(deferred);
  }

  remove(which: (each: Deferred) => boolean): void {
    this.#deferred = this.#deferred.filter((each) => !which(each));
  }

  get statements(): string[] {
    return this.#deferred.map(({ statement }) => statement);
  }
}

const inlineReference = / REFERENCES ([a-z0-9_]+) \(([a-z0-9_]+)\)/g;

/** A `SyntaxError` for a form of foreign key that no migration has used yet. */
function putOffForeignKeys(statement: string, foreignKeys: Deferral): string | undefined {
  const [, table, name] = /^ALTER TABLE ([a-z0-9_]+) (?:ADD|DROP) CONSTRAINT ([a-z0-9_]+)/.exec(statement) ?? [];
  if (table !== undefined && / FOREIGN KEY /.test(statement)) {
    foreignKeys.add({ table, name: name!, statement });
    return undefined;
  }
  const [, created] = /^(?:CREATE|ALTER) TABLE ([a-z0-9_]+) /.exec(statement) ?? [];
  const kept = statement
    .split('\n')
    .map((line) =>
      line.replaceAll(inlineReference, (_, referenced: string, key: string) => {
        const [, column] =
          /^(?:ALTER TABLE [a-z0-9_]+ ADD COLUMN| +|CREATE TABLE [a-z0-9_]+ \() ?([a-z0-9_]+) /.exec(line) ?? [];
        if (created === undefined || column === undefined) throw new SyntaxError(`no column: ${excerpt(line)}`);
        const constraint = `${created}_${column}_fkey`;
        foreignKeys.add({
          table: created,
          name: constraint,
          statement: `ALTER TABLE ${created} ADD CONSTRAINT ${constraint} FOREIGN KEY (${column}) REFERENCES ${referenced} (${key})`,
        });
        return '';
      }),
    )
    .join('\n');
  if (/ REFERENCES | FOREIGN KEY /.test(kept)) throw new SyntaxError(`a foreign key of another form: ${excerpt(kept)}`);
  return kept;
}
