import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { Manifest } from '#format/manifest.ts';
import { timedId } from '#model/identifiers.ts';
import { stagingName } from '#model/restore-names.ts';
import type { Database, Definition } from '#ports/database.ts';
import { createImportMarker } from '#store/import-marker.ts';
import { migrate, schemaVersion } from '#store/migrate.ts';
import { loadMigrations } from '#store/migrations.ts';
import type { Host, OperationContext } from './context.ts';

const mostNamed = 3;

/**
 * Rows that are right can still be kept by tables that are not: an index or a foreign key that is missing, or a trigger
 * that whoever wrote the SQL left behind and that would run as this manager. Compares with a database made for it; where a
 * crash leaves that one, `restore cleanup` removes it. Throws `rows-differ`; nobody can accept that.
 *
 * Resolves with what a person may accept, each a sentence: privileges and settings that the new database does not have. An
 * export grants nothing and sets nothing, but whoever prepared the database may have.
 */
export async function requireSchema(
  context: OperationContext,
  host: Pick<Host, 'server'>,
  database: Database,
  { summary }: Manifest,
): Promise<string[]> {
  const version = await versionToExpect(database, summary);
  const instead = `replay an export that nobody changed, or restore: restore run ${summary.id}`;
  return await requireTables(context, host, database, { version, marker: true, instead });
}

/** Whoever was killed at it may have brought the import forward already. */
async function versionToExpect(database: Database, summary: Manifest['summary']): Promise<number> {
  const found = await schemaVersion(database);
  return found > summary.schemaVersion && found <= loadMigrations().length ? found : summary.schemaVersion;
}

/** The same for any database. */
export async function requireTables(
  context: OperationContext,
  { server }: Pick<Host, 'server'>,
  database: Database,
  expected: { readonly version: number; readonly marker: boolean; readonly instead: string },
): Promise<string[]> {
  context.progress.phase('comparing the tables');
  const name = stagingName(server.liveName, timedId(context.clock.now(), context.randomness.bytes(6)));
  await server.createDatabase(name);
  const made = server.open(name, { connections: 1 });
  try {
    await migrate(made, { to: expected.version });
    // The marker is written once the rows are compared: a rule of it could change them then.
    if (expected.marker) await createImportMarker(made.queries);
    refuse(expected, await made.definitions(), await database.definitions());
    const usual = new Set(await made.accessRules());
    const strange = (await database.accessRules()).filter((text) => !usual.has(text));
    return strange.map((text) => `the database has more than an export makes: ${text.slice(0, 200)}`);
  } finally {
    await made.close();
    await server.dropDatabase(name);
  }
}

function refuse(
  { version, instead }: { readonly version: number; readonly instead: string },
  wanted: Definition[],
  found: Definition[],
): void {
  const [want, have] = [textsOf(wanted), textsOf(found)];
  const missing = [...want].filter((text) => !have.has(text)).map((text) => `lacks ${text}`);
  const strange = [...have].filter((text) => !want.has(text)).map((text) => `has ${text}`);
  const differences = [...missing, ...strange].map((text) => text.slice(0, 200));
  if (differences.length === 0) return;
  const more = differences.length > mostNamed ? `; and ${differences.length - mostNamed} more` : '';
  throw new EnclaveManagerError(
    'rows-differ',
    `the tables of the import are not those of schema ${version}: it ${differences.slice(0, mostNamed).join('; it ')}${more}`,
    { hint: `Drop and create the database and ${instead}.` },
  );
}

const textsOf = (definitions: readonly Definition[]): Set<string> => new Set(definitions.map(({ text }) => text));
