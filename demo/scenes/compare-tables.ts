import { plainStyle } from '#cli/output/style.ts';
import { formatTable } from '#cli/output/table.ts';
import { formatCount } from '#cli/output/units.ts';
import { readAuditHead } from '#store/audit.ts';
import { digestTables, openSecrets, rowsOf, type TableDigest } from '../digests.ts';
import { inDatabase, show, type Stage, timed } from '../stage.ts';
import type { FinishedRestore } from './restore-on-west.ts';

/** What was in the database before it was destroyed. */
export interface Memory {
  readonly tables: readonly TableDigest[];
  readonly secrets: ReadonlyMap<string, string>;
  readonly auditPosition: number;
}

/** Its record and its audit event. */
const rowsAddedByRestore = 2;

export async function rememberTables({ east }: Stage): Promise<Memory> {
  return await inDatabase(east, async ({ queries }, keyring) => ({
    tables: await digestTables(queries),
    secrets: await openSecrets(queries, keyring),
    auditPosition: (await readAuditHead(queries)).position,
  }));
}

export async function compareTables(stage: Stage, before: Memory, { restoreId }: FinishedRestore): Promise<void> {
  const { narrator, west, steps } = stage;
  narrator.scene('Every table compared');
  narrator.say(
    `Each row is hashed, and the sorted hashes of a table make its digest. BEFORE was taken on east-1 ahead of the
    disaster, AFTER now on west-1.`,
  );
  const { outcome: after, durationMs } = await timed(() =>
    inDatabase(west, async ({ queries }, keyring) => ({
      tables: await digestTables(queries, { restoreId, auditPosition: before.auditPosition }),
      allRows: rowsOf(await digestTables(queries)),
      secrets: await openSecrets(queries, keyring),
    })),
  );
  narrator.output(`\n${comparison(before.tables, after.tables)}`);
  requireSame(before, after);
  const compared = `${before.tables.length} tables, ${formatCount(rowsOf(before.tables))} rows`;
  narrator.say(`${compared}: all the same.`);
  narrator.say(
    `A restore renews four things by design, and those are left out: the incarnation in "cluster", the time of update in
    "nodes", its own record in "restores", its own event in "audit_events".`,
  );
  await show(stage, west, ['audit', 'verify']);
  narrator.say(
    `The ${after.secrets.size} sealed secrets, keys and passwords, open with the key of west-1: also the same.`,
  );
  steps.push({ what: 'Comparison', durationMs, result: `${compared}, all the same` });
}

function requireSame(before: Memory, after: Omit<Memory, 'auditPosition'> & { readonly allRows: number }): void {
  const different = before.tables.filter(({ sha256 }, index) => sha256 !== after.tables[index]?.sha256);
  if (different.length > 0) throw new Error(`rows differ in ${different.map(({ table }) => table).join(', ')}`);
  const added = after.allRows - rowsOf(before.tables);
  if (added !== rowsAddedByRestore) throw new Error(`the restore added ${added} rows, not ${rowsAddedByRestore}`);
  const opened = [...before.secrets].filter(([name, sha256]) => after.secrets.get(name) === sha256);
  if (opened.length === 0 || opened.length !== before.secrets.size) throw new Error('the sealed secrets differ');
}

function comparison(before: readonly TableDigest[], after: readonly TableDigest[]): string {
  const pairs = before.map((digest, index) => ({ ...digest, old: digest.sha256, now: after[index]?.sha256 ?? '-' }));
  return formatTable(
    [
      { title: 'TABLE', cell: ({ table }) => table },
      { title: 'ROWS', align: 'right', cell: ({ rows }) => formatCount(rows) },
      { title: 'BEFORE', cell: ({ old }) => old.slice(0, 12) },
      { title: 'AFTER', cell: ({ now }) => now.slice(0, 12) },
      { title: '', cell: ({ old, now }) => (old === now ? 'same' : 'DIFFERENT') },
    ],
    pairs,
    plainStyle,
  );
}
