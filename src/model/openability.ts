import type { BackupKind } from './backup.ts';
import type { BackupId, NodeId } from './identifiers.ts';
import { describeKeyringGaps, type KeyringGaps } from './keyring-gaps.ts';

/** A host showed that its hardware opens its credential and these epochs. */
export interface NodeProof {
  /** RFC 3339. */
  readonly at: string;
  readonly epochs: readonly number[];
}

export interface OpenabilityNode {
  readonly nodeId: NodeId;
  readonly name: string;
  readonly site: string | null;
  readonly sealingProvider: string;
  readonly grade: string;
  /** `null`: none since this database came to life. */
  readonly lastProof: NodeProof | null;
}

export interface OpenabilityBackup {
  readonly id: BackupId;
  readonly kind: BackupKind;
  readonly startedAt: string;
  readonly openableBy: readonly NodeId[];
}

export interface OpenabilityFacts {
  /** The authentic backups, newest first. */
  readonly backups: readonly OpenabilityBackup[];
  readonly nodes: readonly OpenabilityNode[];
  /** Why backups that this host has seen are missing among them; a sentence. */
  readonly hidden: string | undefined;
  /** How many objects lie where backups do and are none of this cluster, as far as this host can tell. */
  readonly rejectedManifests: number;
  /** What the repository lacks of the keyring: who has no database opens less of it, or only with what backups carry. */
  readonly keyringGaps: KeyringGaps;
  /** A host to think away, as before work on its board or firmware. */
  readonly without: NodeId | undefined;
  readonly now: Date;
}

export const openabilityWarnings = [
  'backups-hidden',
  'manifest-rejected',
  'keyring-incomplete',
  'no-opener',
  'few-hosts',
  'few-sites',
  'software-sealing',
  'unattested',
  'stale-proof',
] as const;

export interface OpenabilityWarning {
  readonly code: (typeof openabilityWarnings)[number];
  readonly message: string;
  readonly hint: string;
}

export interface BackupOpenability extends OpenabilityBackup {
  /** At how many sites those hosts are, as far as that is known: one without a site may be at the site of another. */
  readonly sites: number;
}

export interface Openability {
  /** Without the host that was thought away. */
  readonly nodes: readonly OpenabilityNode[];
  readonly backups: readonly BackupOpenability[];
  readonly warnings: readonly OpenabilityWarning[];
  /** Backups that no host would open. */
  readonly lost: readonly BackupId[];
}

/** A running manager proves its host every day. */
export const staleProofMs = 7 * 86_400_000;

/** Which hosts open which backups, and how much could go before none does. */
export function judgeOpenability(facts: OpenabilityFacts): Openability {
  const nodes = facts.nodes.filter(({ nodeId }) => nodeId !== facts.without);
  const siteOf = new Map(nodes.map(({ nodeId, site }) => [nodeId, site]));
  const backups = facts.backups.map(({ id, kind, startedAt, openableBy: all }) => {
    const openableBy = all.filter((nodeId) => siteOf.has(nodeId));
    return {
      id,
      kind,
      startedAt,
      openableBy,
      sites: provenSites(openableBy.map((nodeId) => siteOf.get(nodeId) ?? null)),
    };
  });
  const unplaced = nodes.filter(({ site }) => site === null);
  const lost = backups.filter(({ openableBy }) => openableBy.length === 0).map(({ id }) => id);
  const warnings = [...missingWarnings(facts), ...backupWarnings(backups, unplaced), ...nodeWarnings(nodes, facts.now)];
  return { nodes, backups, lost, warnings };
}

/** Of which nobody can say who opens them. */
function missingWarnings({ hidden, rejectedManifests, keyringGaps }: OpenabilityFacts): OpenabilityWarning[] {
  const warnings: OpenabilityWarning[] = [];
  if (hidden !== undefined) {
    const hint = 'Find the newer backups; who opens them is unknown.';
    warnings.push({ code: 'backups-hidden', message: hidden, hint });
  }
  if (rejectedManifests > 0) {
    const message = `${rejectedManifests === 1 ? 'one object lies' : `${rejectedManifests} objects lie`} where backups do and cannot be read as one of this cluster`;
    const hint = 'If one of them was a backup, who opens it is unknown. backup list names them.';
    warnings.push({ code: 'manifest-rejected', message, hint });
  }
  for (const gap of describeKeyringGaps(keyringGaps)) warnings.push({ code: 'keyring-incomplete', ...gap });
  return warnings;
}

/** Every host stands somewhere. */
function provenSites(sites: readonly (string | null)[]): number {
  const known = new Set(sites.filter((site) => site !== null));
  return Math.max(known.size, Math.min(sites.length, 1));
}

function backupWarnings(
  backups: readonly BackupOpenability[],
  unplaced: readonly OpenabilityNode[],
): OpenabilityWarning[] {
  const lost = backups.filter(({ openableBy }) => openableBy.length === 0);
  const few = backups.filter(({ openableBy }) => openableBy.length === 1);
  const fewSites = backups.filter(({ openableBy, sites }) => openableBy.length > 1 && sites === 1);
  const isUnplaced = (nodeId: NodeId): boolean => unplaced.some((node) => node.nodeId === nodeId);
  const unknown = fewSites.filter(({ openableBy }) => openableBy.some(isUnplaced));
  const oneSite = fewSites.filter((backup) => !unknown.includes(backup));
  return [
    ...warnOf(lost, 'no-opener', (which) => ({
      message: `no host opens ${which}`,
      hint: 'Bring a host back that opens them, or take a new backup: backup create.',
    })),
    ...warnOf(few, 'few-hosts', (which) => ({
      message: `only one host opens ${which}`,
      hint: 'Enrol another host, better at another site, on a database that both reach: node invite.',
    })),
    ...warnOf(oneSite, 'few-sites', (which) => ({
      message: `the hosts that open ${which} are all at one site`,
      hint: 'Enrol a host at another site: node invite here, ENCLAVE_MANAGER_SITE and node enrol there.',
    })),
    ...warnOf(unknown, 'few-sites', (which) => ({
      message: `the hosts that open ${which} may all be at one site: the site of ${namesOf(unplaced)} is not known`,
      hint: 'A host is given its site when it is enrolled: ENCLAVE_MANAGER_SITE. Evict such a host and enrol it anew, or enrol one at another site.',
    })),
  ];
}

function nodeWarnings(nodes: readonly OpenabilityNode[], now: Date): OpenabilityWarning[] {
  const software = nodes.filter(({ sealingProvider }) => sealingProvider === 'software');
  const unattested = nodes.filter(
    ({ sealingProvider, grade }) => sealingProvider !== 'software' && grade === 'unattested',
  );
  const stale = nodes.filter(
    ({ lastProof }) => lastProof === null || now.getTime() - Date.parse(lastProof.at) > staleProofMs,
  );
  return [
    ...warnOf(software, 'software-sealing', (which) => ({
      message: `a key file stands for the hardware of ${which}: whoever copies it opens the backups`,
      hint: 'Use hosts with a TPM 2.0 or SGX in production: ENCLAVE_MANAGER_SEALING.',
    })),
    ...warnOf(unattested, 'unattested', (which) => ({
      message: `the hardware of ${which} was not proved when it was enrolled`,
      hint: 'Enrol it again with evidence: node invite, then node enrol on that host.',
    })),
    ...warnOf(stale, 'stale-proof', (which) => ({
      message: `no proof of the last ${staleProofMs / 86_400_000} days that the hardware of ${which} opens the keys`,
      hint: 'Run node probe on that host, or keep a manager running there.',
    })),
  ];
}

const shownNames = 5;

function warnOf(
  concerned: readonly (OpenabilityNode | BackupOpenability)[],
  code: OpenabilityWarning['code'],
  words: (which: string) => Omit<OpenabilityWarning, 'code'>,
): OpenabilityWarning[] {
  if (concerned.length === 0) return [];
  return [{ code, ...words(namesOf(concerned)) }];
}

function namesOf(concerned: readonly (OpenabilityNode | BackupOpenability)[]): string {
  const names = concerned.map((each) => ('name' in each ? each.name : each.id));
  const more = names.length > shownNames ? ` and ${names.length - shownNames} more` : '';
  return `${names.slice(0, shownNames).join(', ')}${more}`;
}
