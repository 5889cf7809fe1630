import type { ErrorCode } from '#errors/codes.ts';

/**
 * What every command may end with beside 0: whoever calls it may have told it to end, standard output may lie on a full
 * disk, a setting may be wrong, and there may be a bug.
 */
export const generalFailures = [
  'unexpected',
  'usage',
  'configuration',
  'no-space',
  'interrupted',
  'terminated',
] as const satisfies readonly ErrorCode[];

/** The embedded server, whose directory one process at a time may use, or the external one. */
const server = ['database-unreachable', 'data-directory-in-use', 'version-incompatible'] as const;
/** The device or key file, and what this host wrote down of its own place in the cluster. */
const sealing = ['sealing-unavailable', 'damaged'] as const;
/** What lies there, read with or without a key. */
const repository = [
  'not-found',
  'repository-unreachable',
  'repository-foreign',
  'damaged',
  'forged',
  'version-incompatible',
] as const;

/** The cluster of the live database, with its keys. */
const cluster = [
  ...repository,
  ...server,
  ...sealing,
  'restore-needed',
  'import-pending',
  'lease-held',
  'no-key',
  'not-permitted',
] as const;

/** What opening the things fails with that commands have in common; a command lists it beside what it does with them. */
export const failuresOfOpening = {
  server,
  /** The cluster of the live database, without its keys. */
  liveRows: [...server, 'not-found', 'import-pending', 'damaged'],
  sealing,
  repository,
  repositoryWithKeys: [...repository, ...sealing, 'no-key'],
  cluster,
  /** Where a replayed export is compared with its backup first. */
  clusterOrImport: [...cluster, 'rows-differ'],
} as const satisfies Record<string, readonly ErrorCode[]>;
