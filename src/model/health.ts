import { describeKeyringGaps, type KeyringGaps } from './keyring-gaps.ts';
import type { Due } from './schedule.ts';
import { unknownBecause, type UnknownCause } from './unknown.ts';

/** What `status` and the start screen judge. All of it is read elsewhere; here are only the rules. */
export interface HealthFacts {
  /** `none`: switched off; a cause: it cannot be read, and nothing is known of the backups. */
  readonly repository: 'none' | 'reachable' | UnknownCause;
  readonly newestBackup: NewestBackup | undefined;
  /** Why nothing can be written to the repository: its marker is missing, damaged or another cluster's. */
  readonly markerProblem: string | undefined;
  /** This host has seen a backup of a higher sequence than the repository shows now. */
  readonly hiddenBackups: { readonly seenSequence: number; readonly newestSequence: number } | undefined;
  /** The database knows of a newer backup that is not in this repository. */
  readonly unlistedBackup: { readonly message: string; readonly hint: string } | undefined;
  /** Another database lives on with this cluster's data and backs up here; a sentence. */
  readonly newerLife: { readonly message: string; readonly hint: string } | undefined;
  /** What lies where manifests do and is no backup of this cluster; each a sentence. */
  readonly rejectedManifests: readonly string[];
  /** What lies where keyring documents do and counts for nothing; each a sentence. */
  readonly rejectedKeyring: readonly string[];
  /** What the repository lacks of the keyring that the live database has. */
  readonly keyringGaps: KeyringGaps;
  /** Backups that share a sequence: two histories of one cluster; each a sentence. */
  readonly forks: readonly string[];
  readonly lastDrill: { readonly at: string; readonly passed: boolean } | undefined;
  readonly backupDue: Due | undefined;
  readonly drillDue: Due | undefined;
  readonly verifyDue: Due | undefined;
  readonly pruneDue: Due | undefined;
  /** Runs that failed since the last success of their kind. */
  readonly failedRuns: readonly { readonly kind: string; readonly at: string; readonly message: string }[];
  /** Database, repository and key that lie on one disk; fewer than two names: none do. */
  readonly onOneDisk: readonly string[];
  readonly softwareSealing: boolean;
  /** No other host reaches the database. */
  readonly embeddedDatabase: boolean;
  /** An eviction or rotation that is not complete; names of the hosts that have not sealed their credential anew. */
  readonly keyChange: { readonly interrupted: boolean; readonly waitingFor: readonly string[] } | null;
}

export interface NewestBackup {
  readonly id: string;
  readonly authentic: boolean | 'unknown';
  readonly verified: boolean;
  /** How many enrolled hosts can open it. */
  readonly openers: number;
}

/** `problem` makes the manager unhealthy; `warning` is what somebody should know and may accept. */
export interface Finding {
  readonly severity: 'problem' | 'warning';
  readonly code: FindingCode;
  readonly message: string;
  readonly hint: string;
}

export const findingCodes = [
  'no-repository',
  'repository-unreachable',
  'marker-unusable',
  'backups-hidden',
  'backup-elsewhere',
  'superseded',
  'manifest-rejected',
  'keyring-incomplete',
  'keyring-rejected',
  'sequence-fork',
  'no-backup',
  'backup-overdue',
  'backup-not-verified',
  'backup-not-authentic',
  'nobody-can-open',
  'one-opener',
  'no-drill',
  'drill-failed',
  'drill-overdue',
  'reading-overdue',
  'prune-overdue',
  'run-failed',
  'no-backup-schedule',
  'one-disk',
  'software-sealing',
  'key-change-interrupted',
  'credentials-not-resealed',
] as const;

export type FindingCode = (typeof findingCodes)[number];

export interface Health {
  readonly healthy: boolean;
  /** Problems first. */
  readonly findings: readonly Finding[];
}

export function judgeHealth(facts: HealthFacts): Health {
  const findings = [
    ...repositoryFindings(facts),
    ...drillFindings(facts),
    ...scheduleFindings(facts),
    ...placeFindings(facts),
    ...keyFindings(facts),
  ];
  const problems = findings.filter((finding) => finding.severity === 'problem');
  const warnings = findings.filter((finding) => finding.severity === 'warning');
  return { healthy: problems.length === 0, findings: [...problems, ...warnings] };
}

function repositoryFindings(facts: HealthFacts): Finding[] {
  if (facts.repository === 'none') {
    return [
      problem('no-repository', 'no backups are taken', 'Set ENCLAVE_MANAGER_REPOSITORY to where they should go.'),
    ];
  }
  if (facts.repository !== 'reachable') {
    const message = `whether a backup could be restored is ${unknownBecause(facts.repository)}`;
    return [problem('repository-unreachable', message, facts.repository.hint)];
  }
  return [...lossFindings(facts), ...newestFindings(facts.newestBackup, facts)];
}

/** A restore on this host is refused while backups are hidden, so nobody may take the newest of the others for the newest. */
function lossFindings({
  markerProblem,
  hiddenBackups,
  unlistedBackup,
  newerLife,
  rejectedManifests,
  rejectedKeyring,
  keyringGaps,
  forks,
}: HealthFacts): Finding[] {
  const findings: Finding[] = [];
  if (markerProblem !== undefined) {
    const hint =
      'No backup can be taken. Start the manager (serve): it adopts an empty repository. Where backups lie there, put enclave-manager.json back from a copy.';
    findings.push(problem('marker-unusable', markerProblem, hint));
  }
  if (hiddenBackups !== undefined) {
    const { seenSequence, newestSequence } = hiddenBackups;
    const message = `this host has seen backup sequence ${seenSequence}; the newest in the repository is ${newestSequence}: newer backups were deleted or hidden`;
    const hint = `Find the newer backups. A restore without them has to say so: --accept-missing-after ${newestSequence}. Where they are lost for good, the next backup here ends this: backup create.`;
    findings.push(problem('backups-hidden', message, hint));
  }
  if (unlistedBackup !== undefined) {
    findings.push(problem('backup-elsewhere', unlistedBackup.message, unlistedBackup.hint));
  }
  if (newerLife !== undefined) findings.push(problem('superseded', newerLife.message, newerLife.hint));
  for (const { message, hint } of describeKeyringGaps(keyringGaps))
    findings.push(problem('keyring-incomplete', message, hint));
  for (const fork of forks.slice(0, 1)) {
    const hint =
      'Both can be restored. Find out which manager wrote the other: only one database may use this repository.';
    findings.push(warning('sequence-fork', fork, hint));
  }
  const evidence = 'Keep it as evidence.';
  const copy = `${evidence} If it was a backup, put the file back from a copy.`;
  findings.push(...rejectionFindings('manifest-rejected', rejectedManifests, copy));
  const carried = `${evidence} If it was a genuine document, put it back from a copy; the manifests carry one too.`;
  findings.push(...rejectionFindings('keyring-rejected', rejectedKeyring, carried));
  return findings;
}

function rejectionFindings(code: FindingCode, rejections: readonly string[], hint: string): Finding[] {
  const [first, ...others] = rejections;
  if (first === undefined) return [];
  const more = others.length === 0 ? '' : `, and ${others.length} more like it`;
  return [warning(code, `${first}${more}`, hint)];
}

function newestFindings(newest: NewestBackup | undefined, facts: HealthFacts): Finding[] {
  if (newest === undefined) return noBackupFindings(facts);
  return [...readabilityFindings(newest), ...openerFindings(newest, facts)];
}

/** Backups that this host has seen and that are hidden now are a problem of their own. */
function noBackupFindings({ hiddenBackups, rejectedManifests }: HealthFacts): Finding[] {
  if (hiddenBackups !== undefined) return [];
  if (rejectedManifests.length === 0) return [problem('no-backup', 'there is no backup', 'Take one: backup create.')];
  const message = 'no backup here can be read and was signed by this cluster';
  return [problem('no-backup', message, 'Put what is named below back from a copy, or take a new one: backup create.')];
}

function readabilityFindings(newest: NewestBackup): Finding[] {
  if (newest.authentic === false) {
    const message = `backup ${newest.id} was not signed by this cluster`;
    return [
      problem(
        'backup-not-authentic',
        message,
        'Keep it as evidence, find out who writes to the repository, and take a new one: backup create.',
      ),
    ];
  }
  if (newest.verified) return [];
  const message = `backup ${newest.id} was not read back`;
  return [problem('backup-not-verified', message, `Read it back: backup verify ${newest.id}.`)];
}

function openerFindings(newest: NewestBackup, { embeddedDatabase }: HealthFacts): Finding[] {
  if (newest.openers === 0 && newest.authentic !== 'unknown') {
    const message = `no enrolled host can open backup ${newest.id}`;
    return [problem('nobody-can-open', message, 'Take a new backup at once: backup create.')];
  }
  if (newest.openers !== 1) return [];
  const hint = embeddedDatabase
    ? 'First give the cluster a database that other hosts reach, ENCLAVE_MANAGER_DATABASE_URL, and restore run latest into it; then node invite.'
    : 'Enrol a second one, better at another site: node invite.';
  return [warning('one-opener', 'only one host can open the backups; lose it and they are lost', hint)];
}

function drillFindings(facts: HealthFacts): Finding[] {
  if (facts.newestBackup === undefined || facts.repository !== 'reachable') return [];
  if (facts.lastDrill === undefined) {
    return [
      warning('no-drill', 'no restore was ever tried', 'Try one, without touching anything: backup drill latest.'),
    ];
  }
  if (facts.lastDrill.passed) return [];
  const message = `the last drill, at ${facts.lastDrill.at}, failed`;
  return [problem('drill-failed', message, 'See why: backup drill latest. Older backups may be good: backup list.')];
}

function scheduleFindings(facts: HealthFacts): Finding[] {
  const findings: Finding[] = [];
  if (facts.backupDue?.overdue === true)
    findings.push(overdue('backup-overdue', 'a backup', facts.backupDue, 'backup create'));
  if (facts.drillDue?.overdue === true)
    findings.push(overdue('drill-overdue', 'a drill', facts.drillDue, 'backup drill latest'));
  if (facts.verifyDue?.overdue === true) {
    findings.push(overdue('reading-overdue', 'reading the chunks back', facts.verifyDue, 'backup verify latest'));
  }
  if (facts.pruneDue?.overdue === true)
    findings.push(overdue('prune-overdue', 'a prune', facts.pruneDue, 'backup prune'));
  if (facts.backupDue === undefined && facts.repository !== 'none') {
    const hint =
      'Set ENCLAVE_MANAGER_BACKUP_SCHEDULE, such as 0 0 * * *, or make sure somebody else runs backup create.';
    findings.push(warning('no-backup-schedule', 'no backups are scheduled', hint));
  }
  for (const run of facts.failedRuns) {
    findings.push(
      problem(
        'run-failed',
        `the last ${run.kind}, at ${run.at}, failed: ${run.message}`,
        'It is tried again; serve says when.',
      ),
    );
  }
  return findings;
}

function overdue(code: FindingCode, what: string, due: Due, command: string): Finding {
  const message = `${what} has been due since ${due.at.toISOString()}`;
  return problem(code, message, `Keep serve running, or run it now: ${command}.`);
}

function placeFindings(facts: HealthFacts): Finding[] {
  const findings: Finding[] = [];
  if (facts.onOneDisk.length >= 2) {
    const message = `${listOf(facts.onOneDisk)} lie on one disk; lose it and all is lost`;
    findings.push(warning('one-disk', message, 'Set ENCLAVE_MANAGER_REPOSITORY to another disk or machine.'));
  }
  if (facts.softwareSealing) {
    const message = 'the key of this host is a file; whoever copies it opens the backups';
    findings.push(warning('software-sealing', message, 'Software sealing is for development.'));
  }
  return findings;
}

function keyFindings({ keyChange }: HealthFacts): Finding[] {
  const findings: Finding[] = [];
  if (keyChange?.interrupted === true) {
    const message = 'an eviction or a rotation of the keys was interrupted; the keys of before are in use';
    findings.push(problem('key-change-interrupted', message, 'Finish it: keep serve running, or keys rotate.'));
  }
  if (keyChange !== null && keyChange.waitingFor.length > 0) {
    const message = `not every host has sealed its credential with the newest cluster key: ${keyChange.waitingFor.join(', ')}`;
    const hint =
      'Until then an evicted host could stop it with forged keys. Start the manager there or run any command; evict a host that is gone: node evict.';
    findings.push(warning('credentials-not-resealed', message, hint));
  }
  return findings;
}

const listOf = (names: readonly string[]): string =>
  names.length === 2 ? names.join(' and ') : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;

const problem = (code: FindingCode, message: string, hint: string): Finding => ({
  severity: 'problem',
  code,
  message,
  hint,
});
const warning = (code: FindingCode, message: string, hint: string): Finding => ({
  severity: 'warning',
  code,
  message,
  hint,
});
