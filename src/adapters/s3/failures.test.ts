import { S3ServiceException } from '@aws-sdk/client-s3';
import { describe, expect, it } from 'vitest';
import { OperationFailed, withAttempts } from './attempts.ts';
import { explain } from './explain.ts';
import { readFailure, retryOf } from './failures.ts';
import { defaultLimits } from './limits.ts';
import { ReplyProblem } from './reply-problem.ts';

const service = (name: string, status: number, headers: Record<string, string> = {}): S3ServiceException => {
  const error = new S3ServiceException({
    name,
    $fault: 'client',
    message: name,
    $metadata: { httpStatusCode: status },
  });
  return Object.assign(error, { $response: { statusCode: status, headers } });
};
const network = (code: string): Error => Object.assign(new Error(code), { code });

describe('what another attempt may mend', () => {
  it.each([
    [service('SlowDown', 503), 'busy'],
    [service('InternalError', 500), 'busy'],
    [service('Unknown', 429), 'busy'],
    [service('RequestTimeout', 400), 'busy'],
    [service('ConditionalRequestConflict', 409), 'busy'],
    [service('XAmzContentSHA256Mismatch', 400), 'busy'],
    [new ReplyProblem('strange', 'a web page'), 'busy'],
    [network('ECONNRESET'), 'busy'],
    [new Error('aborted'), 'busy'],
    [network('ECONNREFUSED'), 'unreachable'],
    [network('ENOTFOUND'), 'unreachable'],
    [service('NoSuchBucket', 404), 'never'],
    [service('AccessDenied', 403), 'never'],
    [service('NotImplemented', 501), 'never'],
    [network('CERT_HAS_EXPIRED'), 'never'],
  ])('%s: %s', (error, retry) => {
    expect(retryOf(readFailure(error))).toBe(retry);
  });
});

describe('attempts', () => {
  const limits = { ...defaultLimits, firstPauseMs: 1, longestPauseMs: 2 };
  const hooks = { mended: async () => false };

  it('end with the last failure, after as many as its kind is worth', async () => {
    for (const [error, attempts] of [
      [service('SlowDown', 503), limits.attempts],
      [network('ECONNREFUSED'), limits.attemptsWhenUnreachable],
      [service('AccessDenied', 403), 1],
    ] as const) {
      const failed = withAttempts(limits, hooks, () => Promise.reject(error));
      await expect(failed).rejects.toMatchObject({ attempts });
    }
  });

  it('are given up when their time is over', async () => {
    const failed = withAttempts({ ...limits, operationMs: 0 }, hooks, () => Promise.reject(network('ECONNRESET')));
    await expect(failed).rejects.toMatchObject({ attempts: 1 });
  });

  it('go on once when the circumstances changed', async () => {
    let asked = 0;
    const mended = async (): Promise<boolean> => {
      asked += 1;
      return true;
    };
    const refused = withAttempts(limits, { mended }, () => Promise.reject(service('InvalidAccessKeyId', 403)));
    await expect(refused).rejects.toMatchObject({ attempts: 2 });
    expect(asked).toBe(1);
    const outcome = await withAttempts(limits, { mended }, async (number) => {
      if (number === 1) throw service('ExpiredToken', 400);
      return number;
    });
    expect(outcome).toBe(2);
  });
});

describe('explanations', () => {
  const attempted = {
    action: 'get',
    location: 's3://bucket/prefix/',
    key: 'chunks/x',
    accessKeyId: 'AKIAEXAMPLE',
    refusedCredentials: undefined,
    settings: {
      bucket: 'bucket',
      prefix: 'prefix/',
      endpoint: 'https://storage.example',
      region: 'eu-de',
      addressing: 'path' as const,
      checksums: 'signature' as const,
      credentials: { accessKeyId: { value: 'AKIAEXAMPLE' }, secretAccessKey: { value: 'hunter2' } },
    },
  };
  const explained = (error: unknown, more: Partial<typeof attempted> = {}) =>
    explain(new OperationFailed(readFailure(error), 1, error), { ...attempted, ...more });

  it.each([
    [
      service('NoSuchBucket', 404),
      'there is no bucket "bucket" at https://storage.example (NoSuchBucket, status 404)',
      11,
    ],
    [service('UnknownError', 403), 'the access key AKIA… may not get in the bucket "bucket"', 11],
    [service('UnknownError', 404), 'does not know the bucket "bucket" in this style of address', 11],
    [
      service('UnknownError', 301, { 'x-amz-bucket-region': 'us-south' }),
      'does not take the region eu-de; it says us-south',
      11,
    ],
    [service('UnknownError', 407), 'the proxy wants user and password', 11],
    [service('UnknownError', 507), 'the store has no space left', 16],
    [service('XMinioStorageFull', 507), 'the store has no space left', 16],
    [network('ENOTFOUND'), 'the host storage.example of the endpoint is not known', 11],
    [network('EPROTO'), 'https://storage.example does not speak TLS', 11],
    [network('CERT_HAS_EXPIRED'), 'is not valid today', 11],
    [new ReplyProblem('strange', 'a web page'), 'is not an object storage', 11],
    [new Error('socket hang up'), 'does not answer as it should (socket hang up)', 11],
  ])('%s', (error, message, exitCode) => {
    const found = explained(error);
    expect(found).toMatchObject({ exitCode, message: expect.stringContaining(message) });
    expect(`${found.message} ${found.hint}`).not.toContain('hunter2');
  });

  it('say why newer credentials are not in use', () => {
    const refused = explain(new OperationFailed(readFailure(service('ExpiredToken', 400)), 1, undefined), {
      ...attempted,
      refusedCredentials: 'SignatureDoesNotMatch',
    });
    expect(refused.hint).toContain('Changed credentials were tried and refused: SignatureDoesNotMatch.');
  });
});
