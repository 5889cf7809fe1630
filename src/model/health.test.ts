import { describe, expect, it } from 'vitest';
import { noKeyringGaps } from './keyring-gaps.ts';
import { type HealthFacts, judgeHealth } from './health.ts';

const due = (overdue: boolean) => ({
  at: new Date('2026-11-23T00:00:00Z'),
  attemptAt: new Date('2026-11-23T00:00:00Z'),
  overdue,
});

const well: HealthFacts = {
  repository: 'reachable',
  newestBackup: { id: '20261122T000000Z-k3f9q2', authentic: true, verified: true, openers: 2 },
  hiddenBackups: undefined,
  unlistedBackup: undefined,
  newerLife: undefined,
  markerProblem: undefined,
  rejectedManifests: [],
  rejectedKeyring: [],
  keyringGaps: noKeyringGaps,
  forks: [],
  lastDrill: { at: '2026-11-22T03:00:00.000Z', passed: true },
  backupDue: due(false),
  drillDue: due(false),
  verifyDue: due(false),
  pruneDue: due(false),
  failedRuns: [],
  onOneDisk: [],
  softwareSealing: false,
  embeddedDatabase: false,
  keyChange: null,
};

const codesOf = (facts: Partial<HealthFacts>) => {
  const { healthy, findings } = judgeHealth({ ...well, ...facts });
  return { healthy, codes: findings.map((finding) => finding.code) };
};

describe('judgeHealth', () => {
  it('finds nothing where all is well', () => {
    expect(judgeHealth(well)).toEqual({ healthy: true, findings: [] });
  });

  it('is unhealthy without a repository, and says nothing further about backups', () => {
    expect(
      codesOf({ repository: 'none', newestBackup: undefined, lastDrill: undefined, backupDue: undefined }),
    ).toEqual({
      healthy: false,
      codes: ['no-repository'],
    });
  });

  it('is unhealthy when the newest backup was never read back', () => {
    const newestBackup = { ...well.newestBackup!, verified: false };
    expect(codesOf({ newestBackup })).toEqual({ healthy: false, codes: ['backup-not-verified'] });
  });

  it('recommends a second host only where it could reach the database', () => {
    const newestBackup = { ...well.newestBackup!, openers: 1 };
    const hintOf = (embeddedDatabase: boolean) => judgeHealth({ ...well, newestBackup, embeddedDatabase }).findings[0];
    expect(hintOf(false)).toMatchObject({ code: 'one-opener', hint: expect.stringMatching(/^Enrol a second one/) });
    expect(hintOf(true)).toMatchObject({
      code: 'one-opener',
      hint: expect.stringMatching(/^First give the cluster a database that other hosts reach/),
    });
  });

  it('is unhealthy when newer backups than the newest here were seen', () => {
    const hiddenBackups = { seenSequence: 7, newestSequence: 5 };
    expect(codesOf({ hiddenBackups })).toEqual({ healthy: false, codes: ['backups-hidden'] });
    expect(judgeHealth({ ...well, hiddenBackups }).findings[0]).toMatchObject({
      message: expect.stringMatching(/seen backup sequence 7.* is 5/),
      hint: expect.stringContaining('--accept-missing-after 5'),
    });
  });

  it('is unhealthy when the newest backup of the database is not in this repository', () => {
    const unlistedBackup = { message: 'it is not here', hint: 'Set one.' };
    expect(codesOf({ unlistedBackup })).toEqual({ healthy: false, codes: ['backup-elsewhere'] });
    expect(judgeHealth({ ...well, unlistedBackup }).findings[0]).toMatchObject(unlistedBackup);
  });

  it('reports two backups with one sequence, and stays healthy: both can be restored', () => {
    const forks = ['backups a and b both have sequence 3'];
    expect(codesOf({ forks })).toEqual({ healthy: true, codes: ['sequence-fork'] });
    expect(judgeHealth({ ...well, forks }).findings[0]?.message).toBe(forks[0]);
  });

  it('warns of manifests that are no backup, and names the first', () => {
    const rejectedManifests = ['backups/a.json is damaged', 'backups/b.json is damaged'];
    expect(codesOf({ rejectedManifests })).toEqual({ healthy: true, codes: ['manifest-rejected'] });
    expect(judgeHealth({ ...well, rejectedManifests }).findings[0]?.message).toBe(
      'backups/a.json is damaged, and 1 more like it',
    );
  });

  it('is unhealthy when somebody else wrote the newest backup', () => {
    const newestBackup = { ...well.newestBackup!, authentic: false };
    expect(codesOf({ newestBackup }).codes).toContain('backup-not-authentic');
  });

  it('is unhealthy when a backup is overdue, a drill failed or a run failed', () => {
    const facts = {
      backupDue: due(true),
      lastDrill: { at: '2026-11-22T03:00:00.000Z', passed: false },
      failedRuns: [{ kind: 'backup', at: '2026-11-23T00:00:01.000Z', message: 'no space is left in /backups' }],
    };
    expect(codesOf(facts)).toEqual({ healthy: false, codes: ['drill-failed', 'backup-overdue', 'run-failed'] });
  });

  it('is unhealthy when a prune that is scheduled does not come', () => {
    expect(codesOf({ pruneDue: due(true) })).toEqual({ healthy: false, codes: ['prune-overdue'] });
    expect(codesOf({ pruneDue: undefined })).toEqual({ healthy: true, codes: [] });
  });

  it('stays healthy on one disk with a key file and one host, and warns of all three', () => {
    const facts = {
      onOneDisk: ['database', 'backups', 'key'],
      softwareSealing: true,
      newestBackup: { ...well.newestBackup!, openers: 1 },
    };
    expect(codesOf(facts)).toEqual({ healthy: true, codes: ['one-opener', 'one-disk', 'software-sealing'] });
  });

  it('is unhealthy while the keys are half changed, and warns as long as a host has not sealed its credential anew', () => {
    const waiting = { interrupted: false, waitingFor: ['host-b', 'host-c'] };
    expect(codesOf({ keyChange: waiting })).toEqual({ healthy: true, codes: ['credentials-not-resealed'] });
    const interrupted = { interrupted: true, waitingFor: [] };
    expect(codesOf({ keyChange: interrupted })).toEqual({ healthy: false, codes: ['key-change-interrupted'] });
    const [finding] = judgeHealth({ ...well, keyChange: waiting }).findings;
    expect(finding?.message).toContain('host-b, host-c');
  });

  it('names what lies on one disk', () => {
    const [finding] = judgeHealth({ ...well, onOneDisk: ['database', 'backups', 'key'] }).findings;
    expect(finding?.message).toBe('database, backups and key lie on one disk; lose it and all is lost');
  });
});
