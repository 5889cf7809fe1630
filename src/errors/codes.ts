/**
 * The closed list of everything that can go wrong by design: code → exit code, HTTP status, default hint.
 * `docs/errors.md` is checked against this table.
 */
interface ErrorCodeFacts {
  readonly exitCode: number;
  readonly httpStatus: number;
  readonly means: string;
  /** What the reader can do when the error brings no better hint of its own. */
  readonly hint: string;
}

export const errorCodes = {
  unexpected: {
    exitCode: 1,
    httpStatus: 500,
    means: 'a bug, or something nobody foresaw',
    hint: 'Run the command again; if it stays, report it with the message above.',
  },
  usage: {
    exitCode: 2,
    httpStatus: 400,
    means: 'the command or its arguments are wrong',
    hint: 'Add --help to see what the command takes.',
  },
  'not-found': {
    exitCode: 3,
    httpStatus: 404,
    means: 'no such backup, node or other thing',
    hint: 'List what there is: backup list, node list.',
  },
  configuration: {
    exitCode: 10,
    httpStatus: 500,
    means: 'a setting is wrong, or a directory cannot be written',
    hint: 'See which settings are in force: config show.',
  },
  'repository-unreachable': {
    exitCode: 11,
    httpStatus: 503,
    means: 'the repository did not answer, or refused us',
    hint: 'Check ENCLAVE_MANAGER_REPOSITORY and what may be read and written there.',
  },
  'repository-foreign': {
    exitCode: 12,
    httpStatus: 409,
    means: 'the repository belongs to another cluster',
    hint: 'Point ENCLAVE_MANAGER_REPOSITORY at the repository of this cluster, or at an empty place.',
  },
  'restore-needed': {
    exitCode: 12,
    httpStatus: 503,
    means: 'the database holds no cluster while backups exist: restore one, nothing was created',
    hint: 'See what can be restored: restore plan latest; then: restore run latest.',
  },
  'import-pending': {
    exitCode: 12,
    httpStatus: 503,
    means: 'the database holds an export that was not replayed to its end, or rows that nobody has checked yet',
    hint: 'See what it holds: database status.',
  },
  superseded: {
    exitCode: 12,
    httpStatus: 409,
    means: 'a newer life of the same data, in another database, has backed up into this repository',
    hint: 'Find out which database is the live one: database status, backup list.',
  },
  'lease-held': {
    exitCode: 13,
    httpStatus: 409,
    means: 'another operation holds the lease, or changed what this one was about to replace',
    hint: 'Wait until the other operation has ended, then run the command again.',
  },
  'database-unreachable': {
    exitCode: 14,
    httpStatus: 503,
    means: 'the database did not answer, refused us, or ended the connection',
    hint: 'Check ENCLAVE_MANAGER_DATABASE_URL and that the server runs: database status.',
  },
  'sealing-unavailable': {
    exitCode: 15,
    httpStatus: 503,
    means: 'the sealing device is missing, busy, or refused us',
    hint: 'Check ENCLAVE_MANAGER_SEALING and that this user may use the device or key file.',
  },
  'no-space': {
    exitCode: 16,
    httpStatus: 507,
    means: 'no space is left where something had to be written',
    hint: 'Free space, then run the command again; nothing half-written is listed.',
  },
  'data-directory-in-use': {
    exitCode: 17,
    httpStatus: 409,
    means: 'another manager uses this data directory',
    hint: 'Use the running manager, stop it first, or set another ENCLAVE_MANAGER_DATA_DIR.',
  },
  damaged: {
    exitCode: 20,
    httpStatus: 500,
    means: 'stored bytes are missing or damaged',
    hint: 'Restore another backup (backup list); the next backup uploads damaged chunks anew.',
  },
  forged: {
    exitCode: 20,
    httpStatus: 500,
    means: 'stored bytes were not signed by this cluster, or two authentic histories contradict each other',
    hint: 'Somebody else wrote to the repository: keep it as evidence, and restore only what is shown as authentic.',
  },
  'no-key': {
    exitCode: 21,
    httpStatus: 403,
    means: 'no key on this host opens it',
    hint: 'Use one of the enrolled hosts: restore plan names them.',
  },
  'version-incompatible': {
    exitCode: 22,
    httpStatus: 409,
    means: 'a format, schema or PostgreSQL version that this program cannot use',
    hint: 'Use the release that wrote it, or a newer one.',
  },
  'restore-failed': {
    exitCode: 30,
    httpStatus: 500,
    means: 'the restore failed for another reason; the old data is untouched',
    hint: 'The old database still serves. Run restore plan, then restore run again.',
  },
  'rows-differ': {
    exitCode: 31,
    httpStatus: 500,
    means: 'the bytes are right, but restored or counted rows differ',
    hint: 'Nothing was replaced or listed. Run the command again, and report it if it stays.',
  },
  'follow-up-incomplete': {
    exitCode: 32,
    httpStatus: 500,
    means: 'swapped and serving, but a step after that is not done',
    hint: 'The restored data serves. Run restore cleanup to finish.',
  },
  'not-permitted': {
    exitCode: 40,
    httpStatus: 403,
    means: 'not permitted',
    hint: 'Ask somebody who may do this.',
  },
  'evidence-rejected': {
    exitCode: 40,
    httpStatus: 403,
    means: 'the evidence about the hardware of a host does not prove what it should',
    hint: 'Enrol that host again with evidence of its own hardware and collateral that is in force.',
  },
  interrupted: {
    exitCode: 130,
    httpStatus: 499,
    means: 'interrupted, or declined at the question',
    hint: 'Nothing half-done is left; run the command again when you are ready.',
  },
  terminated: {
    exitCode: 143,
    httpStatus: 503,
    means: 'terminated by a signal',
    hint: 'Nothing half-done is left; run the command again.',
  },
} as const satisfies Record<string, ErrorCodeFacts>;

export type ErrorCode = keyof typeof errorCodes;
