import { join } from 'node:path';
import { EnclaveManagerError, isEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { refuseEmptyPolicy, type RetentionPolicy } from '#model/retention.ts';
import type { Schedule } from '#model/schedule.ts';
import type { PcrSelection } from '#model/tpm/pcr-selection.ts';
import type { DatabaseAddress } from './database-url.ts';
import type { RepositoryLocation } from './repository-location.ts';
import { type BucketChoice, chooseBucket, concernsNobody } from './s3-configuration.ts';
import { type ConfigurationSources, readSettings, type Problem, type ReadSettings, type Setting } from './settings.ts';
import { type ListenAddress, nameFromHost, type SealingChoice } from './values.ts';

export interface Configuration {
  readonly dataDirectory: string;
  readonly database: DatabaseChoice;
  readonly repository: RepositoryChoice;
  readonly sealing: SealingSetting;
  readonly nodeName: string;
  readonly site: string | undefined;
  readonly backupSchedule: Schedule | undefined;
  readonly drillSchedule: Schedule | undefined;
  readonly pruneSchedule: Schedule | undefined;
  readonly pruning: { readonly policy: RetentionPolicy; readonly graceMs: number };
  readonly verifyPeriodMs: number;
  readonly listen: ListenAddress;
  /** Whether `serve` waits for what may still come. */
  readonly waitAtStart: boolean;
}

export type DatabaseChoice =
  | { readonly kind: 'embedded' }
  | { readonly kind: 'external'; readonly address: DatabaseAddress; readonly password: string | undefined };

export type RepositoryChoice = Exclude<RepositoryLocation, { readonly kind: 's3' }> | BucketChoice;

export type StoredRepository = Exclude<RepositoryChoice, { readonly kind: 'none' }>;

export interface SealingSetting {
  readonly choice: SealingChoice;
  readonly keyFile: string;
  /** Of Gramine's attestation files. */
  readonly sgxDirectory: string;
  readonly sgxCollateralFile: string | undefined;
  readonly sgxSigners: readonly string[];
  readonly tpm: {
    /** How tpm2-tools name the device. */
    readonly tcti: string;
    /** Somebody named it, so it must be there. */
    readonly named: boolean;
    readonly selection: PcrSelection;
    /** File with the public key of whoever approves firmware. */
    readonly approvalKeyFile: string | undefined;
    readonly approvalsDirectory: string;
    /** File with the makers' certificates. */
    readonly authoritiesFile: string | undefined;
  };
}

export interface InspectedConfiguration {
  /** `undefined` when there are problems. */
  readonly configuration: Configuration | undefined;
  readonly settings: readonly Setting[];
  readonly problems: readonly Problem[];
  /** Sentences, such as a variable with a name that is nearly one of ours. */
  readonly warnings: readonly string[];
}

/** Reads every option and says all that is wrong at once; throws nothing. */
export function inspectConfiguration(sources: ConfigurationSources): InspectedConfiguration {
  const read = readSettings(sources);
  const { values, settings, warnings } = read;
  const repository = chooseRepository(read, sources);
  const problems =
    values.repository?.kind === 's3' ? read.problems : read.problems.filter((problem) => !concernsNobody(problem));
  const dataDirectory = values.dataDirectory ?? join(sources.workingDirectory, 'data');
  const keyFile = values.sealingKeyFile ?? join(dataDirectory, 'keys', 'host.key');
  const policy = policyOf(values);
  problems.push(...policyProblems(policy));
  const derived = {
    repository: join(dataDirectory, 'backups'),
    sealingKeyFile: keyFile,
    tpmApprovals: join(dataDirectory, 'tpm-approvals'),
    nodeName: nameFromHost(sources.hostName),
    databaseUrl: 'embedded PostgreSQL',
  };
  const shown = settings.map((setting) => ({
    ...setting,
    value: setting.value ?? derivedValue(derived, setting.name),
  }));
  if (problems.length > 0) return { configuration: undefined, settings: shown, problems, warnings };
  const configuration: Configuration = {
    dataDirectory,
    database:
      values.databaseUrl === undefined
        ? { kind: 'embedded' }
        : { kind: 'external', address: values.databaseUrl, password: values.databasePassword },
    repository: repository ?? { kind: 'directory', path: derived.repository },
    sealing: {
      choice: values.sealing!,
      keyFile,
      sgxDirectory: values.sgxDirectory!,
      sgxCollateralFile: values.sgxCollateral,
      sgxSigners: values.sgxSigners ?? [],
      tpm: {
        tcti: values.tpmTcti!,
        named: settings.some(({ name, source }) => name === 'tpmTcti' && source !== 'default'),
        selection: values.tpmPcrs!,
        approvalKeyFile: values.tpmApprovalKey,
        approvalsDirectory: values.tpmApprovals ?? derived.tpmApprovals,
        authoritiesFile: values.tpmAuthorities,
      },
    },
    nodeName: values.nodeName ?? derived.nodeName,
    site: values.site,
    backupSchedule: values.backupSchedule,
    drillSchedule: values.drillSchedule,
    pruneSchedule: values.pruneSchedule,
    pruning: { policy, graceMs: values.pruneGraceMs! },
    verifyPeriodMs: values.verifyPeriodMs!,
    listen: values.listen!,
    waitAtStart: values.waitAtStart!,
  };
  return { configuration, settings: shown, problems, warnings };
}

function chooseRepository(read: ReadSettings, sources: ConfigurationSources): RepositoryChoice | undefined {
  const { repository } = read.values;
  return repository?.kind === 's3' ? chooseBucket(repository, read, sources) : repository;
}

function policyOf(values: ReadSettings['values']): RetentionPolicy {
  return {
    last: values.keepLast,
    hourly: values.keepHourly,
    daily: values.keepDaily,
    weekly: values.keepWeekly,
    monthly: values.keepMonthly,
    yearly: values.keepYearly,
    minimumAgeMs: values.keepMinimumAgeMs,
    safety: values.keepSafety,
  };
}

function policyProblems(policy: RetentionPolicy): Problem[] {
  try {
    refuseEmptyPolicy(policy);
    return [];
  } catch (error) {
    if (!isEnclaveManagerError(error)) throw error;
    return [{ setting: 'ENCLAVE_MANAGER_KEEP_LAST', message: error.message, hint: error.hint }];
  }
}

const derivedValue = (derived: Readonly<Record<string, string>>, name: string): string | null => derived[name] ?? null;

/** `configuration` naming every wrong setting, its value and the way out; `usage` when all of them came as flags. */
export function requireConfiguration(inspected: InspectedConfiguration): Configuration {
  if (inspected.configuration !== undefined) return inspected.configuration;
  const { problems } = inspected;
  const code = problems.every((problem) => problem.setting.startsWith('--')) ? 'usage' : 'configuration';
  const [first] = problems;
  if (problems.length === 1) throw new EnclaveManagerError(code, first!.message, { hint: first!.hint });
  const lines = problems.map((problem) => `\n  ${problem.message}. ${problem.hint}`);
  throw new EnclaveManagerError(code, `${problems.length} settings are wrong:${lines.join('')}`, {
    hint: 'See which settings are in force, and where they come from: config show.',
  });
}

export function loadConfiguration(sources: ConfigurationSources): Configuration {
  return requireConfiguration(inspectConfiguration(sources));
}
