/** Every field of a manifest with its limits (docs/backup-format.md, "Manifest"). */
import { z } from 'zod';

import { boundedList } from '#keys/bounded-list.ts';
import { parseKeyringPath } from '#keys/keyring-paths.ts';
import { documentLimits } from '#keys/signed-document.ts';
import type { BackupSummary } from '#model/backup.ts';

import type { ObjectReference } from './manifest-parts.ts';
import { readObjectList, type ReadReferences } from './object-list.ts';
import {
  base64,
  chunkIdentifier,
  count,
  epochNumber,
  isStrictlyAscending,
  objectName,
  ordinal,
  timedIdentifier,
  timestamp,
  uuid,
} from './signed-payload.ts';

export const maxObjects = 200_000;
/** The longest row that a backup takes; other chunks are smaller. */
const maxChunkRowBytes = 256 * 1024 * 1024;
const maxTables = 10_000;
/** As in PostgreSQL. */
const maxColumns = 1600;
const maxEpochs = 1000;
const maxMigrations = 10_000;
const maxKeyringDocuments = 20_000;
const maxKeyringDocumentCharacters = 48 * 1024 * 1024;
const maxWarnings = 1000;

const sqlName = z.string().regex(/^[a-z_][a-z0-9_]{0,62}$/, 'is not a name of lower-case letters, digits and _');
const sqlType = z.string().regex(/^[a-z][a-z0-9_]{0,62}(\[\])?$/, 'is not the name of a type');
const shortText = z.string().min(1).max(100);
const keyringPath = z
  .string()
  .max(500)
  .refine((path) => parseKeyringPath(path) !== undefined, 'is not the path of a keyring document');
const digest = z.string().regex(/^[0-9a-f]{64}$/, 'is not a SHA-256 in hex');

const summarySchema: z.ZodType<BackupSummary> = z.object({
  id: timedIdentifier,
  clusterId: uuid,
  kind: z.enum(['scheduled', 'manual', 'safety']),
  sequence: ordinal,
  startedAt: timestamp,
  endedAt: timestamp,
  rows: count,
  logicalBytes: count,
  storedBytes: count,
  chunks: count,
  engine: shortText,
  schemaVersion: ordinal,
  productVersion: shortText,
  epochs: boundedList(epochNumber, { min: 1, max: maxEpochs }).refine(isStrictlyAscending, 'is not ascending'),
  incarnation: z.object({
    number: ordinal,
    random: z.string().regex(/^[0-9a-f]{16}$/, 'is not 16 hex digits'),
  }),
});

const objectReference = z.object({ name: objectName, sizeBytes: ordinal, sha256: digest });
/** Says what is wrong with a list that `readObjectList` does not take. */
export const explainedObjectList = boundedList(objectReference, { max: maxObjects }).refine(
  (list) => isStrictlyAscending(list.map(({ name }) => name)),
  'is not sorted by name, or has duplicates',
);
const objectList = (read?: ReadReferences) =>
  z.unknown().transform((value, context): readonly ObjectReference[] => {
    const list = readObjectList(value, maxObjects, read);
    if (list !== undefined) return list;
    const { error, data } = explainedObjectList.safeParse(value);
    for (const { path, message } of error?.issues ?? []) context.addIssue({ code: 'custom', path, message });
    return data ?? z.NEVER;
  });
const keyringCopy = z.object({ path: keyringPath, bytes: base64(maxKeyringDocumentCharacters) });

/** The clear, signed part, with the encrypted one as it is stored. */
export const manifestSchema = z.object({
  summary: summarySchema,
  migrations: boundedList(z.object({ version: ordinal, checksum: digest }), { max: maxMigrations }).refine(
    (list) => isStrictlyAscending(list.map(({ version }) => version)),
    'is not ascending',
  ),
  objects: objectList(),
  keyring: boundedList(keyringCopy, { max: maxKeyringDocuments }).refine(
    (list) => isStrictlyAscending(list.map(({ path }) => path)),
    'is not sorted by path, or has duplicates',
  ),
  encrypted: z.object({ epoch: epochNumber, bytes: base64(documentLimits.manifest) }),
});

export type StoredManifest = z.infer<typeof manifestSchema>;

/** For one of many manifests: what is a reference that was read before is that one. */
export const manifestSchemaAfter = (read: ReadReferences): typeof manifestSchema =>
  manifestSchema.extend({ objects: objectList(read) });

const chunkReference = z.object({ id: chunkIdentifier, rows: ordinal, rowBytes: ordinal.max(maxChunkRowBytes) });

/** What the encrypted part holds. */
export const detailsSchema = z.object({
  tables: z
    .array(
      z.object({
        name: sqlName,
        columns: z
          .array(z.object({ name: sqlName, type: sqlType }))
          .min(1)
          .max(maxColumns),
        rows: count,
        chunks: boundedList(chunkReference, { max: maxObjects }),
      }),
    )
    .max(maxTables),
  warnings: z.array(z.string().max(2000)).max(maxWarnings),
});
