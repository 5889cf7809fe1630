import { findingCodes } from '#model/health.ts';
import type { Zod } from './command.ts';
import { namedNodeSchema } from './key-change-schema.ts';
import {
  backupIdSchema,
  catalogEntrySchema,
  countSchema,
  fingerprintSchema,
  leftDatabaseSchema,
  timeSchema,
  unknownSchema,
} from './schemas.ts';

/** What `status` prints, and `serve` as a part of what it says at its start. */
export const statusSchema = (z: Zod) =>
  z.object({
    healthy: z.boolean(),
    findings: z.array(
      z.object({
        severity: z.enum(['problem', 'warning']),
        code: z.enum(findingCodes),
        message: z.string(),
        hint: z.string(),
      }),
    ),
    productVersion: z.string(),
    clusterId: z.uuid(),
    clusterKey: fingerprintSchema(z),
    nodeId: z.uuid(),
    keyChange: z.object({ interrupted: z.boolean(), waitingFor: z.array(namedNodeSchema(z)) }).nullable(),
    database: z.object({ location: z.string(), name: z.string(), engine: z.string(), schemaVersion: countSchema(z) }),
    repository: z.string().nullable(),
    unknown: unknownSchema(z, 'Why nothing is known of the backups. What is null below is unknown then, not none.'),
    lastBackup: catalogEntrySchema(z).nullable(),
    lastDrill: z
      .object({ backupId: backupIdSchema(z), at: timeSchema(z), passed: z.boolean(), durationMs: countSchema(z) })
      .nullable(),
    backups: countSchema(z).nullable(),
    highestSequence: countSchema(z).nullable(),
    newestStartedAt: timeSchema(z).nullable(),
    schedules: z.object({
      backup: scheduleSchema(z),
      drill: scheduleSchema(z),
      verify: scheduleSchema(z),
      prune: scheduleSchema(z),
    }),
    inGrace: z.object({ objects: countSchema(z), since: timeSchema(z).nullable() }).nullable(),
    openers: z.array(z.object({ nodeId: z.uuid(), name: z.string(), site: z.string().nullable() })).nullable(),
    leftDatabases: z.array(leftDatabaseSchema(z)),
  });

const scheduleSchema = (z: Zod) =>
  z.object({
    schedule: z.string().nullable(),
    nextDue: timeSchema(z).nullable(),
    overdue: z.boolean(),
    history: z.array(
      z.object({
        beganAt: timeSchema(z),
        endedAt: timeSchema(z).nullable(),
        outcome: z.enum(['running', 'succeeded', 'failed', 'interrupted']),
        message: z.string().nullable(),
      }),
    ),
  });
