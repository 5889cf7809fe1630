import type { Zod } from './command.ts';

/** Shapes that several commands print. Times are RFC 3339 UTC, sizes integers of bytes, durations milliseconds. */
export const timeSchema = (z: Zod) => z.iso.datetime();
export const countSchema = (z: Zod) => z.int().min(0);

/** A cause for which something is unknown, and the way out; `null` where it is known. */
export const unknownSchema = (z: Zod, means: string) =>
  z.object({ code: z.string(), message: z.string(), hint: z.string() }).nullable().describe(means);

export const whyUnproved =
  'Why nothing here proves that the backup is authentic. Who opens it, and whether it was read back or tried, is unknown then.';

export const backupIdSchema = (z: Zod) => z.string().regex(/^\d{8}T\d{6}Z-[0-9a-z]{6}$/);
export const backupKindSchema = (z: Zod) => z.enum(['scheduled', 'manual', 'safety']);
export const fingerprintSchema = (z: Zod) => z.string().startsWith('sha256:');

export const verifiedSchema = (z: Zod) =>
  z
    .object({
      at: timeSchema(z),
      level: z.enum(['new-chunks', 'all-chunks', 'restored']),
      oldestReadAt: timeSchema(z),
    })
    .nullable();

const lastDrillSchema = (z: Zod) =>
  z.object({ at: timeSchema(z), passed: z.boolean(), durationMs: countSchema(z) }).nullable();

export const incarnationSchema = (z: Zod) => z.object({ number: z.int().min(1), random: z.string() });

const authenticSchema = (z: Zod) => z.union([z.boolean(), z.literal('unknown')]);

/** One line of `backup list`. */
export const listedBackupSchema = (z: Zod) =>
  z.object({
    id: backupIdSchema(z),
    kind: backupKindSchema(z),
    sequence: z.int().min(1),
    startedAt: timeSchema(z),
    rows: countSchema(z),
    logicalBytes: countSchema(z),
    epochs: z.array(z.int().min(1)),
    schemaVersion: countSchema(z),
    authentic: authenticSchema(z),
    verified: verifiedSchema(z),
    lastDrill: lastDrillSchema(z),
    openableBy: z.array(z.uuid()),
  });

/** Everything a manifest says in clear about a backup. */
export const catalogEntrySchema = (z: Zod) =>
  listedBackupSchema(z).extend({
    clusterId: z.uuid(),
    endedAt: timeSchema(z),
    storedBytes: countSchema(z),
    chunks: countSchema(z),
    engine: z.string(),
    productVersion: z.string(),
    incarnation: incarnationSchema(z),
  });

/** A database that a restore left beside the live one. */
export const leftDatabaseSchema = (z: Zod) =>
  z.object({
    name: z.string(),
    restoreId: z.string(),
    role: z.enum(['staging', 'before']),
    sizeBytes: countSchema(z),
  });
