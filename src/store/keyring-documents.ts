import { sql } from 'kysely';
import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { checkKeyringLimits, type KeyringDocument } from '#keys/keyring-entry.ts';
import { plantedValueHint } from '#errors/planted-value.ts';
import { keyringPath, maxKeyringNumber, parseKeyringPath, type KeyringPlace } from '#keys/keyring-paths.ts';
import { tablesOf, type Queries } from './tables.ts';

const keyringTables = ['memberships', 'credentials', 'key_epochs', 'key_slots'] as const;

/**
 * Every document in the database, sorted by path. What has a number that no path can name is none. Throws `damaged` where
 * somebody stored more than a keyring can have, before it is read.
 */
export async function readKeyringDocuments(queries: Queries): Promise<KeyringDocument[]> {
  await checkSizes(queries);
  const tables = tablesOf(queries);
  const memberships = await tables
    .selectFrom('memberships')
    .selectAll()
    .where('number', '<=', maxKeyringNumber)
    .execute();
  const credentials = await tables.selectFrom('credentials').selectAll().execute();
  const epochs = await tables.selectFrom('key_epochs').selectAll().where('epoch', '<=', maxKeyringNumber).execute();
  const slots = await tables.selectFrom('key_slots').selectAll().where('epoch', '<=', maxKeyringNumber).execute();
  const stored: [KeyringPlace, Buffer][] = [
    ...memberships.map((row) => placed({ type: 'members', number: row.number }, row.document)),
    ...credentials.map((row) => placed({ type: 'credential', ...ownerOf(row) }, row.document)),
    ...epochs.map((row) => placed({ type: 'epoch', epoch: row.epoch }, row.document)),
    ...slots.map((row) => placed({ type: 'slot', epoch: row.epoch, ...ownerOf(row) }, row.document)),
  ];
  return stored
    .map(([place, bytes]) => ({ path: keyringPath(place), bytes }))
    .toSorted((a, b) => (a.path < b.path ? -1 : 1));
}

async function checkSizes(queries: Queries): Promise<void> {
  const sizes = keyringTables.map((table) => sql`SELECT octet_length(document) AS size FROM ${sql.table(table)}`);
  const { rows } = await sql<{ documents: number; bytes: number }>`SELECT count(*) AS documents,
    CAST(coalesce(sum(size), 0) AS INT8) AS bytes FROM (${sql.join(sizes, sql` UNION ALL `)}) AS sizes`.execute(
    queries,
  );
  for (const { documents, bytes } of rows) checkKeyringLimits(documents, bytes, plantedValueHint);
}

/** Another text whenever somebody stored a membership or an epoch; also where junk has the highest number. */
export async function readKeyMark(queries: Queries): Promise<string> {
  const tables = tablesOf(queries);
  const [members] = await tables
    .selectFrom('memberships')
    .select(({ fn }) => [fn.max('number').as('newest'), fn.countAll<number>().as('rows')])
    .where('number', '<=', maxKeyringNumber)
    .execute();
  const [epochs] = await tables
    .selectFrom('key_epochs')
    .select(({ fn }) => [fn.max('epoch').as('newest'), fn.countAll<number>().as('rows')])
    .where('epoch', '<=', maxKeyringNumber)
    .execute();
  return [members, epochs].map((each) => `${each?.newest ?? 0} of ${each?.rows ?? 0}`).join(', ');
}

/** Writes what is not there yet. Documents are write-once: other bytes under a known path are `forged`. */
export async function saveKeyringDocuments(queries: Queries, documents: readonly KeyringDocument[]): Promise<void> {
  const known = new Map((await readKeyringDocuments(queries)).map(({ path, bytes }) => [path, bytes]));
  for (const document of documents) {
    const present = known.get(document.path);
    if (present === undefined) await insertDocument(queries, document);
    else if (!present.equals(document.bytes)) {
      throw new EnclaveManagerError('forged', `${document.path} is in the database with other contents`, {
        hint: `Keyring documents never change: somebody else wrote it there. ${plantedValueHint}`,
      });
    }
    known.set(document.path, document.bytes);
  }
}

/** Makes the tables hold these documents and nothing else: what rows brought along beside them counts for nothing. */
export async function replaceKeyringDocuments(queries: Queries, documents: readonly KeyringDocument[]): Promise<void> {
  for (const table of keyringTables) await tablesOf(queries).deleteFrom(table).execute();
  for (const document of documents) await insertDocument(queries, document);
}

async function insertDocument(queries: Queries, { path, bytes: document }: KeyringDocument): Promise<void> {
  const tables = tablesOf(queries);
  const place = parseKeyringPath(path);
  switch (place?.type) {
    case 'members':
      await tables.insertInto('memberships').values({ number: place.number, document }).execute();
      return;
    case 'credential':
      await tables
        .insertInto('credentials')
        .values({ credential_id: place.credentialId, node_id: place.nodeId, document })
        .execute();
      return;
    case 'epoch':
      await tables.insertInto('key_epochs').values({ epoch: place.epoch, document }).execute();
      return;
    case 'slot':
      await tables
        .insertInto('key_slots')
        .values({ epoch: place.epoch, node_id: place.nodeId, credential_id: place.credentialId, document })
        .execute();
      return;
    case undefined:
      throw new EnclaveManagerError('damaged', `"${path.slice(0, 200)}" is not the path of a keyring document`);
  }
}

const placed = (place: KeyringPlace, document: Buffer): [KeyringPlace, Buffer] => [place, document];

const ownerOf = (row: { node_id: string; credential_id: string }) => ({
  nodeId: row.node_id,
  credentialId: row.credential_id,
});
