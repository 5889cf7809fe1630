import { describe, expect, it } from 'vitest';
import { inspectConfiguration, loadConfiguration } from './configuration.ts';
import type { ConfigurationSources } from './settings.ts';

const keys = { AWS_ACCESS_KEY_ID: 'AK', AWS_SECRET_ACCESS_KEY: 'hunter2' };

const sources = (environment: Record<string, string>, files: Record<string, string> = {}): ConfigurationSources => ({
  environment,
  flags: {},
  workingDirectory: '/srv/manager',
  hostName: 'host-a',
  readFile: (path) => {
    const text = files[path];
    if (text === undefined) throw Object.assign(new Error('no such file'), { code: 'ENOENT' });
    return text;
  },
});

function settingsOf(environment: Record<string, string>, files: Record<string, string> = {}) {
  const { repository } = loadConfiguration(sources({ ...keys, ...environment }, files));
  if (repository.kind !== 's3') throw new Error(`the repository is a ${repository.kind}`);
  return repository;
}

describe('a repository in a bucket', () => {
  it.each([
    ['s3://bucket', ''],
    ['s3://bucket/', ''],
    ['s3:///bucket//a//b///', 'a/b/'],
    ['S3://bucket/a', 'a/'],
  ])('reads %s whatever its slashes', (repository, prefix) => {
    expect(settingsOf({ ENCLAVE_MANAGER_REPOSITORY: repository }).settings).toMatchObject({ bucket: 'bucket', prefix });
  });

  it.each([
    ['s3.eu-de.cloud-object-storage.appdomain.cloud', 'eu-de', 'path'],
    ['https://s3.private.us.cloud-object-storage.appdomain.cloud/', 'us', 'path'],
    ['https://s3.eu-central-1.amazonaws.com', 'eu-central-1', 'virtual'],
    ['https://s3.dualstack.us-gov-west-1.amazonaws.com', 'us-gov-west-1', 'virtual'],
    ['https://s3.amazonaws.com', 'us-east-1', 'virtual'],
    ['oss-cn-hangzhou.aliyuncs.com', 'cn-hangzhou', 'virtual'],
    ['fsn1.your-objectstorage.com', 'fsn1', 'path'],
    ['http://127.0.0.1:7480', 'us-east-1', 'path'],
    ['https://[::1]:9000/base', 'us-east-1', 'path'],
  ])('derives region and addressing from the endpoint %s', (endpoint, region, addressing) => {
    const { settings } = settingsOf({
      ENCLAVE_MANAGER_REPOSITORY: 's3://bucket/x',
      ENCLAVE_MANAGER_S3_ENDPOINT: endpoint,
    });
    expect(settings).toMatchObject({ region, addressing });
    expect(settings.endpoint).toMatch(/^https?:\/\/.*[^/]$/);
  });

  it('is on Amazon S3 without an endpoint, and addresses a bucket with dots by path', () => {
    expect(
      settingsOf({ ENCLAVE_MANAGER_REPOSITORY: 's3://bucket', ENCLAVE_MANAGER_S3_REGION: 'cn-north-1' }),
    ).toMatchObject({
      settings: { endpoint: 'https://s3.cn-north-1.amazonaws.com.cn', region: 'cn-north-1', addressing: 'virtual' },
    });
    expect(settingsOf({ ENCLAVE_MANAGER_REPOSITORY: 's3://my.bucket' }).settings.addressing).toBe('path');
  });

  it('takes what is set over what the endpoint says', () => {
    const { settings } = settingsOf({
      ENCLAVE_MANAGER_REPOSITORY: 's3://bucket',
      ENCLAVE_MANAGER_S3_ENDPOINT: 's3.eu-de.cloud-object-storage.appdomain.cloud',
      ENCLAVE_MANAGER_S3_REGION: 'eu-gb',
      ENCLAVE_MANAGER_S3_ADDRESSING: 'virtual',
      ENCLAVE_MANAGER_S3_CA_FILE: 'ca.pem',
      ENCLAVE_MANAGER_S3_PROXY: 'proxy.example:3128',
      ENCLAVE_MANAGER_S3_CHECKSUMS: 'md5',
      ENCLAVE_MANAGER_S3_OBJECT_LOCK: 'compliance:30d',
    });
    expect(settings).toMatchObject({
      region: 'eu-gb',
      addressing: 'virtual',
      caFile: '/srv/manager/ca.pem',
      proxy: 'http://proxy.example:3128',
      checksums: 'md5',
      objectLock: { mode: 'compliance', days: 30 },
    });
  });

  it('keeps the names of files with credentials, so that they can be read again', () => {
    const files = { '/run/id': 'AK\n', '/run/secret': 'hunter2\n' };
    const { repository } = loadConfiguration(
      sources(
        {
          ENCLAVE_MANAGER_REPOSITORY: 's3://bucket',
          AWS_ACCESS_KEY_ID_FILE: '/run/id',
          AWS_SECRET_ACCESS_KEY_FILE: '/run/secret',
          AWS_SESSION_TOKEN: 'token',
          ENCLAVE_MANAGER_PRUNE_ACCESS_KEY_ID: 'PRUNE',
          ENCLAVE_MANAGER_PRUNE_SECRET_ACCESS_KEY: 'prune',
        },
        files,
      ),
    );
    expect(repository).toMatchObject({
      settings: {
        credentials: {
          accessKeyId: { file: '/run/id' },
          secretAccessKey: { file: '/run/secret' },
          sessionToken: { value: 'token' },
        },
        deleteCredentials: { accessKeyId: { value: 'PRUNE' }, secretAccessKey: { value: 'prune' } },
      },
    });
  });

  it.each([
    [{}, 'AWS_ACCESS_KEY_ID is not set'],
    [{ AWS_ACCESS_KEY_ID: 'AK' }, 'AWS_SECRET_ACCESS_KEY is not set'],
    [{ AWS_ACCESS_KEY_ID: '' }, 'AWS_ACCESS_KEY_ID=***: is empty'],
    [{ AWS_ACCESS_KEY_ID_FILE: '/gone' }, 'AWS_ACCESS_KEY_ID_FILE=/gone: the file cannot be read (ENOENT)'],
    [{ ...keys, ENCLAVE_MANAGER_PRUNE_ACCESS_KEY_ID: 'P' }, 'ENCLAVE_MANAGER_PRUNE_SECRET_ACCESS_KEY is not set'],
    [{ ...keys, ENCLAVE_MANAGER_S3_ENDPOINT: 'ftp://x' }, 'is not an endpoint'],
    [{ ...keys, ENCLAVE_MANAGER_S3_ENDPOINT: 'https://a:b@x' }, 'holds more than scheme, host, port and path'],
    [{ ...keys, ENCLAVE_MANAGER_S3_REGION: 'eu west' }, 'is not a region'],
    [{ ...keys, ENCLAVE_MANAGER_S3_ADDRESSING: 'dns' }, 'is not a way to address a bucket'],
    [{ ...keys, ENCLAVE_MANAGER_S3_CHECKSUMS: 'crc32' }, 'is not a checksum mode'],
    [{ ...keys, ENCLAVE_MANAGER_S3_OBJECT_LOCK: 'governance' }, 'is not an object lock'],
    [{ ...keys, ENCLAVE_MANAGER_S3_PROXY: 'socks5://x' }, 'is not a proxy'],
  ])('refuses %j', (environment, problem) => {
    const { problems } = inspectConfiguration(sources({ ENCLAVE_MANAGER_REPOSITORY: 's3://bucket', ...environment }));
    expect(problems.map(({ message }) => message)).toEqual([expect.stringContaining(problem)]);
  });

  it('is the only one that minds what the credentials of something else look like', () => {
    expect(inspectConfiguration(sources({ AWS_SESSION_TOKEN: '' })).problems).toEqual([]);
  });

  it('never shows a secret', () => {
    const inspected = inspectConfiguration(
      sources({
        ...keys,
        ENCLAVE_MANAGER_REPOSITORY: 's3://bucket',
        ENCLAVE_MANAGER_S3_PROXY: 'http://user:hunter2@proxy.example',
      }),
    );
    expect(JSON.stringify([inspected.settings, inspected.problems, inspected.warnings])).not.toContain('hunter2');
    expect(inspected.problems).toEqual([]);
  });
});
