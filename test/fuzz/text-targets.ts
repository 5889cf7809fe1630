import { parseDatabaseUrl } from '#postgresql-protocol/connection-options.ts';
import { inspectConfiguration } from '#config/configuration.ts';
import { optionNames, options } from '#config/options.ts';
import type { ErrorCode } from '#errors/codes.ts';
import { parseChunkObjectPath, parseManifestPath, parseObjectName, parseVerificationPath } from '#format/layout.ts';
import { decodeCredentialSecret } from '#keys/credential.ts';
import { formatToken, parseToken } from '#keys/join-token.ts';
import { keyringPath, parseKeyringPath } from '#keys/keyring-paths.ts';
import { parseBackupId } from '#model/identifiers.ts';
import { parseSchedule } from '#model/schedule.ts';
import type { Target } from './target.ts';

export function textTargets(): Target[] {
  const text = (
    name: string,
    seeds: readonly string[],
    codes: readonly ErrorCode[],
    read: (input: string) => unknown,
  ): Target => ({
    name,
    seeds: seeds.map((seed) => Buffer.from(seed)),
    json: false,
    codes,
    read: (input) => read(input.toString()),
  });
  const uuid = '01900000-0000-7000-8000-000000000001';
  const token = formatToken({
    inviteId: uuid,
    secret: Buffer.alloc(32, 7),
    fingerprint: `sha256:${Buffer.alloc(32, 9).toString('base64url')}`,
  });
  return [
    text('cron', ['0 0 * * *', '*/5 1-3,7 1 JAN-DEC MON', '0 3 29 2 *', '0 0 L * 5#2'], [], (input) => {
      const parsed = parseSchedule(input);
      return parsed.ok ? parsed.value?.next(new Date('2026-11-22T00:00:00Z')) : parsed.problem;
    }),
    text('join-token', [token], ['usage'], parseToken),
    text(
      'database-url',
      ['postgres://user:p%40ss@db.example:5432/malbork?sslmode=require', 'postgres:///malbork?host=/run/postgresql'],
      ['configuration'],
      parseDatabaseUrl,
    ),
    text('backup-id', ['20261122T000000Z-k3f9q2'], ['usage'], (input) => void parseBackupId(input)),
    text(
      'paths',
      [
        'backups/20261122T000000Z-k3f9q2.json',
        `chunks/ab/${'ab'.repeat(32)}.0123456789abcdef`,
        'keyring/members/1.json',
        `keyring/epochs/1/${uuid}.${uuid}.json`,
      ],
      [],
      (input) => {
        const place = parseKeyringPath(input);
        if (place !== undefined && keyringPath(place) !== input) throw new Error('a path that is not its own place');
        return [
          parseManifestPath(input),
          parseVerificationPath(input),
          parseChunkObjectPath(input),
          parseObjectName(input),
        ];
      },
    ),
    {
      name: 'credential-secret',
      seeds: [Buffer.concat([Buffer.from([1]), Buffer.alloc(80, 5), Buffer.from([0, 0, 0, 1])])],
      json: false,
      codes: [],
      read: decodeCredentialSecret,
    },
    configurationTarget(text),
  ];
}

/** `NAME=value` lines, read as the program reads its environment. */
function configurationTarget(
  text: (
    name: string,
    seeds: readonly string[],
    codes: readonly ErrorCode[],
    read: (input: string) => unknown,
  ) => Target,
): Target {
  const examples: Record<string, string> = {
    ENCLAVE_MANAGER_DATABASE_URL: 'postgres://user:p%40ss@db.example:5432/malbork?sslmode=verify-full',
    ENCLAVE_MANAGER_REPOSITORY: 's3://bucket/prefix',
    ENCLAVE_MANAGER_S3_ENDPOINT: 'https://s3.eu-de.cloud-object-storage.appdomain.cloud',
    ENCLAVE_MANAGER_LISTEN: '[::1]:8080',
    ENCLAVE_MANAGER_VERIFY_PERIOD: '30d',
    ENCLAVE_MANAGER_DATA_DIR: '/var/lib/enclave-manager',
  };
  const lines = optionNames
    .map((name) => options[name])
    .filter(({ secret }) => secret !== true)
    .map(({ environment, default: usual }) => `${environment}=${examples[environment] ?? usual ?? ''}`);
  const read = (input: string): unknown => {
    const environment = Object.fromEntries(
      input
        .split('\n')
        .map((line) => [line.slice(0, Math.max(0, line.indexOf('='))), line.slice(line.indexOf('=') + 1)]),
    );
    const sources = { environment, flags: {}, workingDirectory: '/tmp', hostName: 'host', readFile: noFile };
    const { problems, warnings } = inspectConfiguration(sources);
    return [...problems, ...warnings].map((each) => JSON.stringify(each).replaceAll('"', '')).join() || undefined;
  };
  // Some options mean nothing alone.
  const alone = lines.filter((line) => read(line) === undefined);
  return text('configuration', alone, [], read);
}

function noFile(path: string): string {
  throw Object.assign(new Error(`no ${path} here`), { code: 'ENOENT' });
}
