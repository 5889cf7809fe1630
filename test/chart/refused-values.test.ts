import { beforeEach, describe, expect, it } from 'vitest';
import { need, refusal, render } from './helm.ts';

beforeEach((context) => need(context, 'helm'));

const software = [
  'enclaveos-chart.Manager.Sealing=software',
  'enclaveos-chart.Manager.SoftwareKeySecretName=host-keys',
];
const bucket = ['global.S3.Bucket=backups', 'global.S3.HmacSecretName=credentials', 'global.S3.Endpoint=s3.example'];
const setting = (values: readonly string[]): string[] => values.flatMap((value) => ['--set', value]);
const refusedWith = (...values: string[]): string => refusal(setting([...software, ...values]));

it('takes the values that the refused ones differ from', () => {
  expect(render(setting([...software, ...bucket])).length).toBeGreaterThan(10);
});

describe('a value of the wrong kind is refused by name', () => {
  it.each([
    ['enclaveos-chart.Manager.ReplicaCount=two', '/Manager/ReplicaCount'],
    ['enclaveos-chart.Manager.ReplicaCount=-1', '/Manager/ReplicaCount'],
    ['enclaveos-chart.Manager.ReplicaCount=1.5', '/Manager/ReplicaCount'],
    ['enclaveos-chart.Manager.Sealing=tpm', '/Manager/Sealing'],
    ['enclaveos-chart.Manager.StatePath=state', '/Manager/StatePath'],
    ['enclaveos-chart.Manager.StatePath=/var/../etc', '/Manager/StatePath'],
    ['enclaveos-chart.Manager.SoftwareKeySecretName=Host_Keys', '/Manager/SoftwareKeySecretName'],
    ['enclaveos-chart.Manager.Image.PullPolicy=Sometimes', '/Manager/Image/PullPolicy'],
    ['enclaveos-chart.Manager.Tpm.Tcti=cmd:reboot', '/Manager/Tpm/Tcti'],
    ['enclaveos-chart.Manager.Sgx.Signers={abc}', '/Manager/Sgx/Signers/0'],
    ['enclaveos-chart.Backup.CronSchedule=0', '/Backup/CronSchedule'],
    ['enclaveos-chart.Backup.CronSchedule=@daily', '/Backup/CronSchedule'],
    ['enclaveos-chart.Backup.CronSchedule=0 0 * *', '/Backup/CronSchedule'],
    ['enclaveos-chart.Backup.CronSchedule=0 0 0 * * *', '/Backup/CronSchedule'],
    ['enclaveos-chart.Backup.S3Prefix=a b', '/Backup/S3Prefix'],
    ['enclaveos-chart.Backup.VerifyPeriod=monthly', '/Backup/VerifyPeriod'],
    ['enclaveos-chart.Backup.Keep.Daily=-1', '/Backup/Keep/Daily'],
    ['enclaveos-chart.CockroachDB.Replicas=2', '/CockroachDB/Replicas'],
    ['enclaveos-chart.CockroachDB.Insecure=maybe', '/CockroachDB/Insecure'],
    ['enclaveos-chart.CockroachDB.Storage.Size=much', '/CockroachDB/Storage/Size'],
    ['enclaveos-chart.NetworkPolicy.EgressPorts={0}', '/NetworkPolicy/EgressPorts/0'],
    ['global.S3.Endpoint=ftp://s3.example', '/global/S3/Endpoint'],
    ['global.S3.Endpoint=https://key:secret@s3.example', '/global/S3/Endpoint'],
    ['global.S3.Bucket=s3://backups', '/global/S3/Bucket'],
    ['global.S3.HmacSecretName=a/b', '/global/S3/HmacSecretName'],
    ['global.S3.Addressing=dns', '/global/S3/Addressing'],
    ['global.S3.ObjectLock=legal:30d', '/global/S3/ObjectLock'],
    ['global.Database.UrlSecretName=postgres://x', '/global/Database/UrlSecretName'],
  ])('%s', (value, named) => {
    expect(refusedWith(value)).toContain(`at '${named}'`);
  });
});

describe('a value that nothing reads is refused by name', () => {
  it.each([
    ['replicaCount=1', 'replicaCount'],
    ['global.S3.Buckt=backups', 'Buckt'],
    ['global.Database.Url=x', 'Url'],
    ['enclaveos-chart.Manager.replicaCount=1', 'replicaCount'],
    ['enclaveos-chart.Backup.Keep.Dayly=7', 'Dayly'],
    ['enclaveos-chart.CockroachDB.Storage.Class=fast', 'Class'],
    ['enclaveos-chart.Job.Command=x', 'Command'],
  ])('%s', (value, named) => {
    expect(refusedWith(value)).toContain(`additional properties '${named}' not allowed`);
  });
});

describe('a schedule is refused by the field that is wrong', () => {
  it.each([
    ['60 0 * * *', '"60" as field 1 (minute, 0-59)'],
    ['0 24 * * *', '"24" as field 2 (hour, 0-23)'],
    ['0 0 32 * *', '"32" as field 3 (day of month, 1-31)'],
    ['0 0 * 13 *', '"13" as field 4 (month, 1-12)'],
    ['0 0 * * 8', '"8" as field 5 (day of week, 0-7)'],
    ['0 */0 * * *', '"*/0" as field 2'],
    ['0 0 * * mon-', '"mon-" as field 5'],
  ])('%s', (schedule, named) => {
    const refused = refusedWith(...bucket, `enclaveos-chart.Backup.CronSchedule=${schedule}`);
    expect(refused).toContain(`enclaveos-chart.Backup.CronSchedule="${schedule}" has ${named}`);
  });

  it('with a comma that --set took for its own', () => {
    expect(refusedWith(...bucket, 'enclaveos-chart.Backup.CronSchedule=0 0,12 * * *')).toContain('has no value');
  });
});

describe('values that do not fit each other are refused with the way out', () => {
  it.each([
    ['no sealing', [], 'enclaveos-chart.Manager.Sealing is not set'],
    ['software without key', ['enclaveos-chart.Manager.Sealing=software'], 'needs enclaveos-chart.Manager.SoftwareKey'],
    [
      'a software key for nothing',
      ['enclaveos-chart.Manager.Sealing=tpm2', 'enclaveos-chart.Manager.SoftwareKeySecretName=a'],
      'enclaveos-chart.Manager.Sealing is tpm2',
    ],
    ['a bucket without credentials', [...software, ...bucket.slice(0, 1)], 'global.S3.HmacSecretName is not'],
    ['a bucket without place', [...software, ...bucket.slice(0, 2)], 'neither global.S3.Endpoint nor global.S3.Region'],
    ['credentials without bucket', [...software, bucket[1]!], 'global.S3.HmacSecretName is set, and global.S3.Bucket'],
    ['an endpoint without bucket', [...software, bucket[2]!], 'global.S3.Endpoint is set, and global.S3.Bucket is not'],
    [
      'a region without bucket',
      [...software, 'global.S3.Region=eu-de'],
      'global.S3.Region is set, and global.S3.Bucket',
    ],
    [
      'a schedule without bucket',
      [...software, 'enclaveos-chart.Backup.CronSchedule=0 0 * * *'],
      'enclaveos-chart.Backup.CronSchedule is set, and global.S3.Bucket is not',
    ],
    [
      'certificates that are not used',
      [
        ...software,
        'enclaveos-chart.CockroachDB.Insecure=true',
        'enclaveos-chart.CockroachDB.CertificatesSecretName=a',
      ],
      'leave one of them away',
    ],
    ['an ingress without name', [...software, 'enclaveos-chart.Manager.Ingress.Enabled=true'], 'Manager.Ingress.Host'],
  ])('%s', (_, values, message) => {
    expect(refusal(setting(values))).toContain(message);
  });

  it.each(['my.app', '1em'])('a release name after which no Service can be named: %s', (name) => {
    expect(refusal(setting(software), name)).toContain(`the release name "${name}"`);
  });

  it('a release name that leaves no room for the names made from it', () => {
    expect(refusal(setting(software), 'a'.repeat(31))).toContain('has 31 characters');
    expect(render(setting(software), 'a'.repeat(30)).length).toBeGreaterThan(10);
  });
});
