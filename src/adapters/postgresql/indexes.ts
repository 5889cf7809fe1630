import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { DetachedIndexes } from '#ports/database.ts';
import { quoteIdentifier, quoteTable } from '#postgresql-protocol/identifier-quoting.ts';
import type { QueryPool } from '#postgresql-protocol/query-pool.ts';

interface Definition {
  readonly kind: 'key' | 'index' | 'foreign-key' | 'other';
  readonly table: string;
  readonly name: string;
  readonly definition: string;
  /** Of a key: the statement that builds its index by itself. */
  readonly index: string | null;
  readonly tableBytes: number;
}

/** Primary keys and unique constraints `key`, further indexes `index`; `other` constraints stay and are only compared. */
const definitionsQuery = `
  SELECT CASE con.contype WHEN 'f' THEN 'foreign-key' WHEN 'p' THEN 'key' WHEN 'u' THEN 'key' WHEN 'x' THEN 'key' ELSE 'other' END AS kind,
         c.relname AS "table", con.conname AS name, pg_get_constraintdef(con.oid) AS definition,
         CASE WHEN con.contype IN ('p', 'u') THEN pg_get_indexdef(con.conindid) END AS index,
         pg_relation_size(c.oid) AS "tableBytes"
    FROM pg_catalog.pg_constraint con JOIN pg_catalog.pg_class c ON c.oid = con.conrelid
   WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND con.contype IN ('f', 'p', 'u', 'x', 'c', 'n')
  UNION ALL
  SELECT 'index', c.relname, ic.relname, pg_get_indexdef(i.indexrelid), NULL, pg_relation_size(c.oid)
    FROM pg_catalog.pg_index i
    JOIN pg_catalog.pg_class c ON c.oid = i.indrelid JOIN pg_catalog.pg_class ic ON ic.oid = i.indexrelid
   WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'
     AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint con
                      WHERE con.conindid = i.indexrelid AND con.contype IN ('p', 'u', 'x'))
  ORDER BY 1, 2, 3`;

export async function detachIndexes(pool: QueryPool, builders: number): Promise<DetachedIndexes> {
  const before = await pool.rows<Definition>(definitionsQuery);
  await pool.inTransaction(async (rows) => {
    // A key that a foreign key leans on cannot be dropped before it.
    for (const each of ofKind(before, 'foreign-key')) await rows(dropConstraint(each));
    for (const each of ofKind(before, 'key')) await rows(dropConstraint(each));
    for (const each of ofKind(before, 'index')) await rows(`DROP INDEX ${quoteTable(each.name)}`);
  });
  return { attach: () => attachIndexes(pool, before, builders) };
}

async function attachIndexes(pool: QueryPool, before: readonly Definition[], builders: number): Promise<void> {
  const now = await pool.rows<Definition>(definitionsQuery);
  const bytes = new Map(now.map(({ table, tableBytes }) => [table, tableBytes]));
  const largestFirst = [...ofKind(before, 'key').filter(isPlainKey), ...ofKind(before, 'index')].toSorted(
    (a, b) => (bytes.get(b.table) ?? 0) - (bytes.get(a.table) ?? 0),
  );
  // Indexes of one table can be built side by side, its constraints cannot: they then take over what was built.
  await inParallel(builders, largestFirst, (each) => build(pool, [each.index ?? each.definition]));
  await build(pool, ofKind(before, 'key').map(keyStatement));
  await build(pool, ofKind(before, 'foreign-key').map(addConstraint));
  compareDefinitions(before, await pool.rows<Definition>(definitionsQuery));
}

/** An index that is built by itself becomes just this constraint; one with further clauses is left to the constraint. */
function isPlainKey({ definition, index }: Definition): boolean {
  return index !== null && /^(?:PRIMARY KEY|UNIQUE) \([^()]*\)$/.test(definition);
}

async function build(pool: QueryPool, statements: readonly string[]): Promise<void> {
  if (statements.length === 0) return;
  await pool.inTransaction(async (rows) => {
    await rows(`SELECT set_config('statement_timeout', '0', true), set_config('maintenance_work_mem', '128MB', true)`);
    for (const statement of statements) await rows(statement);
  });
}

function compareDefinitions(before: readonly Definition[], after: readonly Definition[]): void {
  const text = (each: Definition): string => `${each.kind} ${each.table}.${each.name}: ${each.definition}`;
  const now = new Set(after.map(text));
  const then = new Set(before.map(text));
  const missing = [...then].find((each) => !now.has(each));
  const added = [...now].find((each) => !then.has(each));
  if (missing === undefined && added === undefined) return;
  throw new EnclaveManagerError(
    'restore-failed',
    `after the indexes were built again their definitions differ: ${missing ?? 'nothing'} became ${added ?? 'nothing'}`,
  );
}

function keyStatement(each: Definition): string {
  if (!isPlainKey(each)) return addConstraint(each);
  const kind = each.definition.startsWith('PRIMARY') ? 'PRIMARY KEY' : 'UNIQUE';
  const name = quoteIdentifier(each.name);
  return `ALTER TABLE ${quoteTable(each.table)} ADD CONSTRAINT ${name} ${kind} USING INDEX ${name}`;
}

function addConstraint(each: Definition): string {
  return `ALTER TABLE ${quoteTable(each.table)} ADD CONSTRAINT ${quoteIdentifier(each.name)} ${each.definition}`;
}

function dropConstraint(each: Definition): string {
  return `ALTER TABLE ${quoteTable(each.table)} DROP CONSTRAINT ${quoteIdentifier(each.name)}`;
}

function ofKind(definitions: readonly Definition[], kind: Definition['kind']): Definition[] {
  return definitions.filter((each) => each.kind === kind);
}

async function inParallel<T>(limit: number, items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const queue = [...items];
  const worker = async (): Promise<void> => {
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) await work(item);
  };
  const outcomes = await Promise.allSettled(Array.from({ length: Math.min(limit, items.length) }, worker));
  const failed = outcomes.find((outcome) => outcome.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}
