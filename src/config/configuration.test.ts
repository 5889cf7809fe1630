import { describe, expect, it } from 'vitest';
import { inspectConfiguration, loadConfiguration } from './configuration.ts';
import type { ConfigurationSources } from './settings.ts';

const sources = (
  environment: Record<string, string>,
  more: Partial<ConfigurationSources> = {},
): ConfigurationSources => ({
  environment,
  flags: {},
  workingDirectory: '/srv/manager',
  hostName: 'host-a',
  readFile: () => {
    throw Object.assign(new Error('no such file'), { code: 'ENOENT' });
  },
  ...more,
});

const problemsOf = (environment: Record<string, string>) =>
  inspectConfiguration(sources(environment)).problems.map((problem) => problem.message);

function failureOf(read: ConfigurationSources): unknown {
  try {
    return loadConfiguration(read);
  } catch (error) {
    return error;
  }
}

describe('loadConfiguration', () => {
  it('needs nothing: embedded database, a directory, the sealing that is found', () => {
    expect(loadConfiguration(sources({}))).toMatchObject({
      dataDirectory: '/srv/manager/data',
      database: { kind: 'embedded' },
      repository: { kind: 'directory', path: '/srv/manager/data/backups' },
      sealing: {
        choice: 'auto',
        keyFile: '/srv/manager/data/keys/host.key',
        tpm: {
          tcti: 'device:/dev/tpmrm0',
          named: false,
          selection: { bank: 'sha256', indexes: [0, 7, 14] },
          approvalKeyFile: undefined,
          approvalsDirectory: '/srv/manager/data/tpm-approvals',
          authoritiesFile: undefined,
        },
      },
      nodeName: 'host-a',
      site: undefined,
      backupSchedule: { text: '0 0 * * *' },
      drillSchedule: { text: '0 3 * * 0' },
      verifyPeriodMs: 30 * 86_400_000,
      listen: { host: '127.0.0.1', port: 8080 },
    });
  });

  it('lets a flag win over the environment', () => {
    const read = sources({ ENCLAVE_MANAGER_DATA_DIR: '/a' }, { flags: { dataDirectory: 'b' } });
    expect(loadConfiguration(read).dataDirectory).toBe('/srv/manager/b');
  });

  it('takes an empty schedule as never', () => {
    expect(loadConfiguration(sources({ ENCLAVE_MANAGER_DRILL_SCHEDULE: '' })).drillSchedule).toBeUndefined();
  });

  it('reads the database URL from a file, so that no secret need be in the environment', () => {
    const environment = { ENCLAVE_MANAGER_DATABASE_URL_FILE: '/run/secrets/url', ENCLAVE_MANAGER_SEALING: 'software' };
    const read = sources(environment, { readFile: () => 'postgres://manager:secret@db:5432\n' });
    expect(loadConfiguration(read).database).toEqual({
      kind: 'external',
      address: {
        url: 'postgres://manager:secret@db:5432',
        databaseName: 'malbork',
        location: 'postgres://manager:***@db:5432',
      },
      password: undefined,
    });
  });

  it('collects every wrong setting into one error', () => {
    const error = failureOf(
      sources({
        ENCLAVE_MANAGER_LISTEN: '8080',
        ENCLAVE_MANAGER_BACKUP_SCHEDULE: '61 * * * *',
        ENCLAVE_MANAGER_VERIFY_PERIOD: 'soon',
      }),
    );
    expect(error).toMatchObject({ code: 'configuration' });
    for (const part of [
      'ENCLAVE_MANAGER_LISTEN=8080',
      'ENCLAVE_MANAGER_BACKUP_SCHEDULE=61 * * * *',
      'ENCLAVE_MANAGER_VERIFY_PERIOD=soon',
      'field 1 (minute)',
      '127.0.0.1:8080',
      '30d',
    ]) {
      expect((error as Error).message).toContain(part);
    }
  });

  it('calls a wrong flag wrong usage', () => {
    expect(failureOf(sources({}, { flags: { listen: 'nowhere' } }))).toMatchObject({
      code: 'usage',
      message: '--listen=nowhere: is not address:port',
    });
  });
});

describe('inspectConfiguration', () => {
  it.each([
    ['s3://key:hunter2@bucket/prefix', 'holds credentials'],
    ['s3://', 'names no bucket'],
    ['s3://b/x', '3 to 63 characters'],
    ['s3://bucket/a/../b', 'not every store can keep'],
    ['ftp://host/x', 'unknown scheme ftp'],
    ['file://otherhost/backups', 'not a file URL of this host'],
    ['', 'is empty'],
  ])('refuses the repository %s', (repository, problem) => {
    expect(problemsOf({ ENCLAVE_MANAGER_REPOSITORY: repository })).toEqual([expect.stringContaining(problem)]);
  });

  it.each(['cmd:sh -c id', '/tmp/evil.so', 'device:', '', 'device:/dev/tpm 0', `device:${'x'.repeat(2000)}`])(
    'takes nothing for a TPM that would run or load something else: %j',
    (tcti) => {
      expect(problemsOf({ ENCLAVE_MANAGER_TPM_TCTI: tcti })).toEqual([
        expect.stringContaining('is not a way to a TPM'),
      ]);
    },
  );

  it.each(['sha256:', 'sha1:0', 'sha256:24', 'sha256:7,7', 'sha256:07', '0,7', 'sha256:0, 7'])(
    'refuses the registers %j',
    (pcrs) => {
      expect(problemsOf({ ENCLAVE_MANAGER_TPM_PCRS: pcrs })).toEqual([
        expect.stringContaining('is not a selection of registers'),
      ]);
    },
  );

  it.each([
    ['', 'is empty'],
    ['mysql://db/malbork', 'unknown scheme mysql:'],
    ['not a url', 'is not a URL'],
    ['postgres://db/Malbork-2', 'names the database "Malbork-2"'],
  ])('refuses the database URL "%s"', (url, problem) => {
    const environment = { ENCLAVE_MANAGER_DATABASE_URL: url, ENCLAVE_MANAGER_SEALING: 'software' };
    expect(problemsOf(environment)).toEqual([expect.stringContaining(problem)]);
  });

  it('never shows a secret, neither in settings nor in problems', () => {
    const inspected = inspectConfiguration(
      sources({
        ENCLAVE_MANAGER_DATABASE_URL: 'mysql://manager:hunter2@db/malbork?sslpassword=hunter2',
        ENCLAVE_MANAGER_DATABASE_PASSWORD: 'hunter2',
        ENCLAVE_MANAGER_REPOSITORY: 's3://key:hunter2@bucket/prefix',
      }),
    );
    expect(JSON.stringify(inspected)).not.toContain('hunter2');
    expect(inspected.problems).toHaveLength(2);
  });

  it('says where each value comes from', () => {
    const { settings } = inspectConfiguration(
      sources({ ENCLAVE_MANAGER_SITE: 'east' }, { flags: { nodeName: 'host-b' } }),
    );
    const sourceOf = Object.fromEntries(settings.map(({ name, value, source }) => [name, `${value} (${source})`]));
    expect(sourceOf).toMatchObject({
      site: 'east (environment)',
      nodeName: 'host-b (flag)',
      dataDirectory: './data (default)',
      repository: '/srv/manager/data/backups (default)',
      databasePassword: 'null (default)',
    });
  });

  it('warns of a variable that is nearly one of ours', () => {
    expect(inspectConfiguration(sources({ ENCLAVE_MANAGER_REPOSITRY: '/x' })).warnings).toEqual([
      'ENCLAVE_MANAGER_REPOSITRY is not known to this version and has no effect; did you mean ENCLAVE_MANAGER_REPOSITORY?',
    ]);
  });

  it('refuses a variable and its file form together, and a file that cannot be read', () => {
    const both = { ENCLAVE_MANAGER_DATABASE_PASSWORD: 'a', ENCLAVE_MANAGER_DATABASE_PASSWORD_FILE: '/b' };
    expect(problemsOf(both)).toEqual([
      'ENCLAVE_MANAGER_DATABASE_PASSWORD and ENCLAVE_MANAGER_DATABASE_PASSWORD_FILE are both set',
    ]);
    expect(problemsOf({ ENCLAVE_MANAGER_DATABASE_PASSWORD_FILE: '/b' })).toEqual([
      'ENCLAVE_MANAGER_DATABASE_PASSWORD_FILE=/b: the file cannot be read (ENOENT)',
    ]);
  });
});
