import { describe, expect, it } from 'vitest';
import type { StartReport } from '#operations/start-report.ts';
import { plainStyle } from './output/style.ts';
import { startScreen } from './start-screen.ts';
import { statusText } from './status-text.ts';

const nodeId = '01a204f8-d861-74cc-9462-adc13b00705d';
const schedule = { overdue: false, history: [] };

const report: StartReport = {
  outcome: 'created',
  address: 'http://127.0.0.1:8080',
  dataDirectory: '/srv/somewhere/a/very/long/path/that/goes/on/and/on/until/it/no/longer/fits/data',
  nodeName: 'host-a',
  sealing: { provider: 'software', why: 'no hardware can be used' },
  keyPlace: '/srv/somewhere/a/very/long/path/that/goes/on/and/on/until/it/no/longer/fits/data/keys/host.key',
  embeddedDatabase: true,
  drilled: { rows: 7, tables: 16 },
  status: {
    healthy: true,
    findings: [
      {
        severity: 'warning',
        code: 'one-disk',
        message: 'database, backups and key lie on one disk',
        hint: 'Set ENCLAVE_MANAGER_REPOSITORY.',
      },
    ],
    productVersion: '0.1.0',
    clusterId: '01a204f8-d85a-7c67-9a70-2b010069ca8d',
    clusterKey: 'sha256:uelUkSeEZnGrGWUhARLsJ_W91AnNXdQ44ngSV_Up0gg',
    nodeId,
    keyChange: null,
    database: {
      location: 'embedded PostgreSQL in /srv/data/postgres',
      name: 'malbork',
      engine: 'postgresql 18.4',
      schemaVersion: 4,
    },
    repository: 'file:///srv/data/backups',
    unknown: null,
    lastBackup: {
      id: '20261122T203547Z-pszcw3',
      clusterId: '01a204f8-d85a-7c67-9a70-2b010069ca8d',
      kind: 'scheduled',
      sequence: 1,
      startedAt: '2026-11-22T20:35:47.000Z',
      endedAt: '2026-11-22T20:35:48.000Z',
      rows: 7,
      logicalBytes: 6200,
      storedBytes: 3200,
      chunks: 7,
      engine: 'postgresql 18.4',
      schemaVersion: 4,
      productVersion: '0.1.0',
      epochs: [1],
      incarnation: { number: 1, random: '0011223344556677' },
      authentic: true,
      verified: { at: '2026-11-22T20:36:12.000Z', level: 'restored', oldestReadAt: '2026-11-22T20:36:12.000Z' },
      lastDrill: { at: '2026-11-22T20:36:12.000Z', passed: true, durationMs: 1640 },
      openableBy: [nodeId],
    },
    lastDrill: { backupId: '20261122T203547Z-pszcw3', at: '2026-11-22T20:36:12.000Z', passed: true, durationMs: 1640 },
    backups: 1,
    highestSequence: 1,
    newestStartedAt: '2026-11-22T20:35:47.000Z',
    schedules: {
      backup: { ...schedule, schedule: '0 0 * * *', nextDue: '2026-11-23T00:00:00.000Z' },
      drill: { ...schedule, schedule: null, nextDue: null },
      verify: { ...schedule, schedule: 'every chunk within 30 days', nextDue: '2026-12-07T20:36:12.000Z' },
      prune: { ...schedule, schedule: null, nextDue: null },
    },
    inGrace: { objects: 0, since: null },
    openers: [{ nodeId, name: 'host-a', site: null }],
    leftDatabases: [],
  },
};

describe('the start screen', () => {
  const screen = startScreen(report, plainStyle);

  it('fits into 80 columns, however long the paths are', () => {
    expect(Math.max(...screen.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80);
  });

  it.each([
    'created a cluster; it is up at http://127.0.0.1:8080',
    'file:///srv/data/backups',
    '2026-11-22 20:35:47 UTC, 7 rows, 6.1 KiB, read back',
    'passed in 1.6 s, 2026-11-22 20:36:12 UTC; 7 rows of 16 tables',
    'sha256:uelUkSeEZnGrGWUhARLsJ_W91AnNXdQ44ngSV_Up0gg',
    'sequence 1 of 2026-11-22 20:35:47 UTC',
    'Backup       2026-11-23 00:00:00 UTC',
    'Drill        none, by setting',
    'database, backups and key lie on one disk',
    'ENCLAVE_MANAGER_DATABASE_URL',
    'Stop with Ctrl-C',
  ])('says "%s"', (text) => {
    expect(screen).toContain(text);
  });

  it('says what runs without backups, and promises none', () => {
    const unknown = { code: 'configuration', message: 'no repository is set', hint: 'Set one.' };
    const nothing = { unknown, lastBackup: null, lastDrill: null, backups: null, highestSequence: null, openers: null };
    const status = { ...report.status, ...nothing, repository: null, newestStartedAt: null };
    const without = startScreen({ ...report, status }, plainStyle);
    expect(without).toContain('none are taken');
    expect(without).not.toContain('Last backup');
    expect(without).not.toMatch(/the only host|no backup yet/);
    expect(without).toContain('Newest       unknown, because no repository is set');
  });
});

describe('the status text', () => {
  it('begins with the verdict and names every finding with its way out', () => {
    const text = statusText({ ...report.status, healthy: false }, plainStyle);
    expect(text.split('\n')[0]).toBe('Not healthy');
    expect(text).toContain('Last drill    passed in 1.6 s');
    expect(text).toContain(
      'Warning:\n  database, backups and key lie on one disk.\n  Set ENCLAVE_MANAGER_REPOSITORY.\n',
    );
  });
});
