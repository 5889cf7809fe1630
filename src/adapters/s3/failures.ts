/** What a failed attempt means: whether another may help, and which setting is wrong when none does. */
import { S3ServiceException } from '@aws-sdk/client-s3';
import { errnoName } from '#errors/file-system-error.ts';
import { ReplyProblem } from './reply-problem.ts';

/** A failed attempt as far as it can be read. */
export interface Failure {
  /** The store's own code, such as `NoSuchBucket`; absent where it said none, as with every HEAD. */
  readonly code: string | undefined;
  readonly status: number | undefined;
  /** Of the connection: `ECONNREFUSED`, `CERT_HAS_EXPIRED`. */
  readonly networkCode: string | undefined;
  readonly message: string;
  readonly headers: Readonly<Record<string, string | undefined>>;
  /** Our clock was off, and later requests are signed with the store's time. */
  readonly clockCorrected: boolean;
  readonly problem: ReplyProblem['kind'] | undefined;
}

export function readFailure(error: unknown): Failure {
  const service = error instanceof S3ServiceException ? error : undefined;
  const response = responseOf(error);
  const status = service?.$metadata.httpStatusCode ?? response?.statusCode;
  const named = service?.name;
  return {
    code: named === undefined || meaningless.has(named) ? undefined : named,
    status,
    networkCode: errnoName(error) ?? errnoName(causeOf(error)),
    message: textOf(error),
    headers: response?.headers ?? {},
    clockCorrected: service?.$metadata !== undefined && Reflect.get(service.$metadata, 'clockSkewCorrected') === true,
    problem: error instanceof ReplyProblem ? error.kind : undefined,
  };
}

/** What the SDK calls an error without a body; `NotFound` of a HEAD says nothing about whether the bucket is there. */
const meaningless = new Set(['UnknownError', 'Unknown', 'Error', 'NotFound', '403', '404', '400', '301']);

interface RawResponse {
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, string | undefined>>;
}

function responseOf(error: unknown): RawResponse | undefined {
  if (!(error instanceof Error) || !('$response' in error)) return undefined;
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- The SDK hangs its HTTP response on every error it reads from one.
  return error.$response as RawResponse | undefined;
}

const causeOf = (error: unknown): unknown => (error instanceof Error ? error.cause : undefined);

const longestText = 300;

/** What stores and libraries say may be long, and of several lines. */
function textOf(error: unknown): string {
  const text = error instanceof Error ? error.message || error.name : String(error);
  return text.replaceAll(/\s+/g, ' ').slice(0, longestText);
}

export type Retry = 'never' | 'unreachable' | 'busy';

const unreachableCodes = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH']);
const certainCodes = /^(?:CERT_|ERR_TLS_|ERR_SSL_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|EPROTO|HPE_)/;
const busyStatuses = new Set([408, 425, 429, 500, 502, 503, 504, 509, 522, 524, 598, 599]);
const busyCodes = new Set([
  'RequestTimeout',
  'RequestTimeTooSkewed',
  'SlowDown',
  'ServiceUnavailable',
  'InternalError',
  'OperationAborted',
  'ConditionalRequestConflict',
  'XAmzContentSHA256Mismatch',
  'BadDigest',
  'IncompleteBody',
  'TooManyRequests',
  'RequestLimitExceeded',
  'Throttling',
]);

/** `unreachable`: nothing answers, so a few attempts must do; `busy`: it may well answer soon. */
export function retryOf(failure: Failure): Retry {
  const { code, status, networkCode, problem } = failure;
  if (problem !== undefined || failure.clockCorrected) return 'busy';
  if (code !== undefined && busyCodes.has(code)) return 'busy';
  if (status !== undefined && status >= 300) return busyStatuses.has(status) ? 'busy' : 'never';
  if (networkCode !== undefined && certainCodes.test(networkCode)) return 'never';
  if (networkCode !== undefined && unreachableCodes.has(networkCode)) return 'unreachable';
  // Reset, cut, timed out, or a reply that is not XML.
  return 'busy';
}
