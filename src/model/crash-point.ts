/** Every step at which a crash is tested. The crash tests fail when a point here is never reached. */
export const crashPoints = [
  'create-cluster.recorded',
  'create-cluster.keyring-written',
  'create-cluster.marker-written',
  'backup.lease-taken',
  'backup.snapshot-taken',
  'backup.chunk-stored',
  'backup.chunks-stored',
  'backup.counted',
  'backup.confirmed',
  'backup.manifest-written',
  'backup.verified',
  'restore.planned',
  'restore.safety-backup-taken',
  'restore.staging-created',
  'restore.schema-created',
  'restore.chunk-loaded',
  'restore.rows-loaded',
  'restore.indexes-attached',
  'restore.counted',
  'restore.prepared',
  'restore.fenced',
  'restore.swapped',
  'restore.recorded',
] as const;

export type CrashPoint = (typeof crashPoints)[number];
