import type { Zod } from './command.ts';
import { countSchema, fingerprintSchema } from './schemas.ts';

export const namedNodeSchema = (z: Zod) =>
  z.object({ nodeId: z.uuid(), name: z.string(), site: z.string().nullable() });

/** The keys after an eviction or a rotation. */
export const keyChangeSchema = (z: Zod) =>
  z.object({
    clusterId: z.uuid(),
    clusterKey: fingerprintSchema(z),
    keyGeneration: z.int().min(1),
    epoch: z.int().min(1),
    membershipNumber: z.int().min(1),
    waitingFor: z.array(namedNodeSchema(z)),
    nextBackupBytes: countSchema(z),
  });
