import { sql } from 'kysely';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { Database } from '#ports/database.ts';
import { importMarkerStamp, readImportMarker } from '#store/import-marker.ts';
import { makeCluster } from '../fixtures/cluster.ts';
import { readCorpus } from '../fuzz/corpus.ts';
import { mutate, mutations } from '../fuzz/mutations.ts';

/** What somebody may have made of the table: its own columns with other types, or without some of them. */
const types = ['INT8', 'TEXT', 'BYTEA', 'JSONB', 'BOOL', 'UUID', 'FLOAT8', 'TEXT[]'] as const;
const usual = {
  part: 'INT8',
  format_version: 'INT8',
  state: 'TEXT',
  manifest: 'BYTEA',
  sealed_check: 'BYTEA',
} as const;
const values: Readonly<Record<(typeof types)[number], readonly string[]>> = {
  INT8: ['0', '1', '-1', '9223372036854775807', 'NULL'],
  TEXT: [`'begun'`, `'complete'`, `''`, `repeat('x', 100000)`, 'NULL'],
  BYTEA: [`'\\x'::bytea`, `'\\x7b7d'::bytea`, `decode(repeat('00', 300000), 'hex')`, 'NULL'],
  JSONB: [`'{}'`, `'null'`, 'NULL'],
  BOOL: ['TRUE', 'NULL'],
  UUID: ['gen_random_uuid()', 'NULL'],
  FLOAT8: [`'NaN'`, `1.5`, `'Infinity'`, 'NULL'],
  'TEXT[]': [`'{}'`, `'{a,NULL}'`, 'NULL'],
};

const column = (name: keyof typeof usual) =>
  fc
    .oneof({ weight: 14, arbitrary: fc.constant(usual[name]) }, fc.constantFrom(...types), fc.constant(undefined))
    .chain((type) =>
      type === undefined
        ? fc.constant(undefined)
        : fc.record({
            name: fc.constant(name),
            type: fc.constant(type),
            cells: fc.array(fc.constantFrom(...values[type]), { minLength: 3, maxLength: 3 }),
          }),
    );

interface MadeTable {
  readonly rows: number;
  readonly columns: readonly (
    | { readonly name: string; readonly type: string; readonly cells: readonly string[] }
    | undefined
  )[];
}

const table: fc.Arbitrary<MadeTable> = fc.record({
  columns: fc.tuple(...(Object.keys(usual) as (keyof typeof usual)[]).map(column)),
  rows: fc.integer({ min: 0, max: 3 }),
});

/** As an export makes it, but for what is given. */
const genuine = (state: string, version: string) => ({
  rows: 1,
  columns: [
    { name: 'part', type: 'INT8', cells: ['0'] },
    { name: 'format_version', type: 'INT8', cells: [version] },
    { name: 'state', type: 'TEXT', cells: [`'${state}'`] },
    { name: 'manifest', type: 'BYTEA', cells: [`'\\x7b7d'::bytea`] },
    { name: 'sealed_check', type: 'BYTEA', cells: ['NULL'] },
  ],
});

/** A script of the corpus, in place of what was there; many mutations are none, and leave nothing. */
async function replaceMarker(database: Database, script: string): Promise<void> {
  for (const statement of ['DROP TABLE', 'DROP VIEW', 'DROP SEQUENCE'])
    await database.runScript(`${statement} IF EXISTS import_marker`).catch(() => {});
  await database.runScript(script).catch(() => {});
}

const outcomeOf = (database: Database): Promise<string> =>
  readImportMarker(database).then(
    (marker) => `read as ${marker?.state}`,
    (error: unknown) => (isEnclaveManagerError(error) ? error.code : `raw: ${String(error)}`),
  );

describe('the marker of an import', () => {
  it('is read or refused by its name for every script of the corpus, and for mutations of them', async () => {
    const { database } = (await makeCluster()).cluster;
    const scripts = readCorpus('import-marker');
    const outcomes = new Map<string, string>();
    for (const { file, bytes } of scripts) {
      await replaceMarker(database, bytes.toString());
      outcomes.set(file, await outcomeOf(database));
    }
    expect(scripts.length).toBeGreaterThan(20);
    const found = new Set(outcomes.values());
    expect([...found].filter((outcome) => outcome.startsWith('raw'))).toEqual([]);
    for (const wanted of ['damaged', 'read as begun', 'read as complete', 'version-incompatible'])
      expect(found).toContain(wanted);

    const mutated = fc.tuple(fc.nat({ max: scripts.length - 1 }), mutations(false));
    await fc.assert(
      fc.asyncProperty(mutated, async ([index, changes]) => {
        await replaceMarker(database, mutate(scripts[index]!.bytes, changes).toString());
        expect(await outcomeOf(database)).toMatch(
          /^(read as (begun|complete|undefined)|damaged|version-incompatible)$/,
        );
      }),
      { numRuns: 150, seed: 20_261_126 },
    );
  });

  it('is read or refused by its name, whatever somebody made of its table', async () => {
    const { cluster } = await makeCluster();
    const { database } = cluster;
    const outcomes = new Set<string>();
    await fc.assert(
      fc.asyncProperty(table, async ({ columns, rows }) => {
        const present = columns.filter((each) => each !== undefined);
        const definitions = present.map(({ name, type }) => `${name} ${type}`).join(', ');
        await database.runScript(`DROP TABLE IF EXISTS import_marker; CREATE TABLE import_marker (${definitions})`);
        for (let row = 0; row < rows && present.length > 0; row += 1) {
          const cells = present.map(({ cells: each }) => each[row]!).join(', ');
          await sql.raw(`INSERT INTO import_marker VALUES (${cells})`).execute(database.queries);
        }
        const outcome = await outcomeOf(database);
        outcomes.add(outcome);
        expect(outcome).toMatch(/^(read as (begun|complete)|damaged|version-incompatible)$/);
        expect(await importMarkerStamp(database)).toEqual(expect.any(String));
      }),
      { numRuns: 150, seed: 20_261_125, examples: [[genuine('complete', '1')], [genuine('begun', '2')]] },
    );
    expect([...outcomes]).toEqual(
      expect.arrayContaining(['damaged', 'read as begun', 'read as complete', 'version-incompatible']),
    );
  });
});
