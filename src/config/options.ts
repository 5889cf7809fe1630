import { defaultPcrSelection } from '#model/tpm/pcr-selection.ts';
import { parseDatabaseUrl, maskDatabaseUrl } from './database-url.ts';
import { option, type Option } from './option.ts';
import { maskUserOfUrl, parseRepository } from './repository-location.ts';
import { s3Options } from './s3-options.ts';
import {
  parseDuration,
  parseFlag,
  parseGrace,
  parseKept,
  parseListenAddress,
  parseName,
  parseOptionalDuration,
  parseOptionalName,
  parsePath,
  parsePcrs,
  parseScheduleText,
  parseSealing,
  parseSecret,
  parseSigners,
  parseTcti,
} from './values.ts';

/** One number of the retention policy. */
const keep = (name: string, flag: string, what: string): Option<number | undefined> =>
  option({
    environment: `ENCLAVE_MANAGER_KEEP_${name}`,
    flag: `--keep-${flag} <number>`,
    default: '',
    defaultMeans: 'no such rule',
    help: `how many to keep of ${what}`,
    parse: parseKept,
  });

/** Every option of the program. Parser, help, `config show`, `docs/cli.md` and the reading of the environment derive from it. */
export const options = {
  dataDirectory: option({
    environment: 'ENCLAVE_MANAGER_DATA_DIR',
    flag: '--data-dir <directory>',
    default: './data',
    help: 'where this host keeps its embedded database, key, state and, by default, its backups',
    parse: parsePath,
  }),
  databaseUrl: option({
    environment: 'ENCLAVE_MANAGER_DATABASE_URL',
    default: undefined,
    defaultMeans: 'embedded PostgreSQL in the data directory',
    help: 'postgres://user@host:5432/malbork, or postgres://user@/malbork?host=/run/postgresql for a Unix socket',
    secret: true,
    file: true,
    mask: maskDatabaseUrl,
    parse: parseDatabaseUrl,
  }),
  databasePassword: option({
    environment: 'ENCLAVE_MANAGER_DATABASE_PASSWORD',
    default: undefined,
    defaultMeans: 'the one in the URL',
    help: 'password for that database; better in a file, named by ENCLAVE_MANAGER_DATABASE_PASSWORD_FILE',
    secret: true,
    file: true,
    parse: parseSecret,
  }),
  repository: option({
    environment: 'ENCLAVE_MANAGER_REPOSITORY',
    flag: '--repository <location>',
    default: undefined,
    defaultMeans: 'directory "backups" in the data directory',
    help: 'where backups go: a directory, file:///directory, s3://bucket/prefix, or none',
    mask: maskUserOfUrl,
    parse: parseRepository,
  }),
  ...s3Options,
  sealing: option({
    environment: 'ENCLAVE_MANAGER_SEALING',
    flag: '--sealing <provider>',
    default: 'auto',
    help: 'what seals the key of this host: auto, sgx, tpm2, or software (for development)',
    parse: parseSealing,
  }),
  sgxDirectory: option({
    environment: 'ENCLAVE_MANAGER_SGX_DIRECTORY',
    flag: '--sgx-directory <directory>',
    default: '/dev/attestation',
    help: 'where Gramine shows an enclave its keys and quotes',
    parse: parsePath,
  }),
  sgxCollateral: option({
    environment: 'ENCLAVE_MANAGER_SGX_COLLATERAL',
    flag: '--sgx-collateral <file>',
    default: undefined,
    defaultMeans: 'no quote counts',
    help: 'what Intel says of the platforms that may join, as PCS or a quote provider gives it: JSON of one, or a list',
    parse: parsePath,
  }),
  sgxSigners: option({
    environment: 'ENCLAVE_MANAGER_SGX_SIGNERS',
    flag: '--sgx-signers <list>',
    default: undefined,
    defaultMeans: 'no quote counts',
    help: 'MRSIGNER of the enclaves that may join as attested: 64 hex digits each, with commas between',
    parse: parseSigners,
  }),
  tpmTcti: option({
    environment: 'ENCLAVE_MANAGER_TPM_TCTI',
    flag: '--tpm-tcti <tcti>',
    default: 'device:/dev/tpmrm0',
    help: 'where the TPM is, as tpm2-tools write it',
    parse: parseTcti,
  }),
  tpmPcrs: option({
    environment: 'ENCLAVE_MANAGER_TPM_PCRS',
    flag: '--tpm-pcrs <selection>',
    default: defaultPcrSelection,
    help: 'the measurements of the start that a TPM seals to: firmware, Secure Boot and its owner keys unless changed',
    parse: parsePcrs,
  }),
  tpmApprovalKey: option({
    environment: 'ENCLAVE_MANAGER_TPM_APPROVAL_KEY',
    flag: '--tpm-approval-key <file>',
    default: undefined,
    defaultMeans: 'nobody',
    help: 'EC P-256 public key (PEM) whose holder may approve other measurements, for keys sealed from now on',
    parse: parsePath,
  }),
  tpmAuthorities: option({
    environment: 'ENCLAVE_MANAGER_TPM_AUTHORITIES',
    flag: '--tpm-authorities <file>',
    default: undefined,
    defaultMeans: 'no certificate counts',
    help: 'certificates (PEM) of the makers of TPMs that this cluster trusts when it enrols hosts',
    parse: parsePath,
  }),
  tpmApprovals: option({
    environment: 'ENCLAVE_MANAGER_TPM_APPROVALS',
    flag: '--tpm-approvals <directory>',
    default: undefined,
    defaultMeans: 'tpm-approvals in the data directory',
    help: 'where the approvals lie that node approve-firmware made',
    parse: parsePath,
  }),
  sealingKeyFile: option({
    environment: 'ENCLAVE_MANAGER_SEALING_KEY_FILE',
    flag: '--sealing-key-file <file>',
    default: undefined,
    defaultMeans: 'keys/host.key in the data directory',
    help: 'key of the software sealing; it stands for the hardware, so whoever copies it is this host',
    parse: parsePath,
  }),
  nodeName: option({
    environment: 'ENCLAVE_MANAGER_NODE_NAME',
    flag: '--node-name <name>',
    default: undefined,
    defaultMeans: 'the host name',
    help: 'name under which this host is enrolled',
    parse: parseName,
  }),
  site: option({
    environment: 'ENCLAVE_MANAGER_SITE',
    flag: '--site <name>',
    default: undefined,
    defaultMeans: 'none',
    help: 'where this host stands, to see whether one site can be lost',
    parse: parseOptionalName,
  }),
  backupSchedule: option({
    environment: 'ENCLAVE_MANAGER_BACKUP_SCHEDULE',
    flag: '--backup-schedule <cron>',
    default: '0 0 * * *',
    help: 'when serve takes a backup: five cron fields, always UTC; empty: never',
    parse: parseScheduleText,
  }),
  drillSchedule: option({
    environment: 'ENCLAVE_MANAGER_DRILL_SCHEDULE',
    flag: '--drill-schedule <cron>',
    default: '0 3 * * 0',
    help: 'when serve restores the newest backup into a scratch database and compares every row; empty: never',
    parse: parseScheduleText,
  }),
  verifyPeriodMs: option({
    environment: 'ENCLAVE_MANAGER_VERIFY_PERIOD',
    flag: '--verify-period <duration>',
    default: '30d',
    help: 'every stored chunk is read back at least once in this time: 30d, 72h',
    parse: parseDuration,
  }),
  pruneSchedule: option({
    environment: 'ENCLAVE_MANAGER_PRUNE_SCHEDULE',
    flag: '--prune-schedule <cron>',
    default: '',
    help: 'when serve removes backups that no number below keeps, and objects that no backup needs; empty: never',
    parse: parseScheduleText,
  }),
  pruneGraceMs: option({
    environment: 'ENCLAVE_MANAGER_PRUNE_GRACE',
    flag: '--prune-grace <duration>',
    default: '72h',
    help: 'how long prune leaves an object that no backup needs before it deletes it: at least 24h',
    parse: parseGrace,
  }),
  keepLast: keep('LAST', 'last', 'the newest backups'),
  keepHourly: keep('HOURLY', 'hourly', 'the newest backup of each of the last hours that have one'),
  keepDaily: keep('DAILY', 'daily', 'the newest backup of each of the last days (UTC) that have one'),
  keepWeekly: keep('WEEKLY', 'weekly', 'the newest backup of each of the last weeks (from Monday) that have one'),
  keepMonthly: keep('MONTHLY', 'monthly', 'the newest backup of each of the last months that have one'),
  keepYearly: keep('YEARLY', 'yearly', 'the newest backup of each of the last years that have one'),
  keepSafety: keep('SAFETY', 'safety', 'safety backups, which restores take and the other numbers do not count'),
  keepMinimumAgeMs: option({
    environment: 'ENCLAVE_MANAGER_KEEP_MINIMUM_AGE',
    flag: '--keep-minimum-age <duration>',
    default: '',
    defaultMeans: 'none',
    help: 'keep every backup that is younger than this, measured from the newest one: 30d, 72h',
    parse: parseOptionalDuration,
  }),
  listen: option({
    environment: 'ENCLAVE_MANAGER_LISTEN',
    flag: '--listen <address:port>',
    default: '127.0.0.1:8080',
    help: 'where serve answers /livez and /readyz; port 0 takes any free one',
    parse: parseListenAddress,
  }),
  waitAtStart: option({
    environment: 'ENCLAVE_MANAGER_WAIT',
    default: '0',
    help: '1: serve waits, and says on /readyz for what, where database, repository, sealing device or enrolment may still come; 0: it exits',
    parse: parseFlag,
  }),
  debug: option({
    environment: 'ENCLAVE_MANAGER_DEBUG',
    default: '0',
    help: '1 prints the stack of unexpected errors to stderr',
    parse: parseFlag,
  }),
};

export type Options = typeof options;
export type OptionName = keyof Options;
export const optionNames = Object.keys(options).filter((name): name is OptionName => Object.hasOwn(options, name));

/** `--data-dir <directory>` → `--data-dir`. */
export const flagName = (flag: string): string => flag.split(' ', 1)[0]!;
