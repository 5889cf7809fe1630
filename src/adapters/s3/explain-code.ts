/** What the codes mean that stores answer with. */
import { denied, type Attempted, type Explanation, masked, noSpace, unreachable, wrongRegion } from './explanation.ts';
import type { Failure } from './failures.ts';

type Explain = (attempted: Attempted, failure: Failure) => Explanation | undefined;

const noBucket: Explain = ({ settings: { bucket, endpoint } }) =>
  unreachable(
    `there is no bucket "${bucket}" at ${endpoint}`,
    'Check the bucket in ENCLAVE_MANAGER_REPOSITORY and ENCLAVE_MANAGER_S3_ENDPOINT, or create the bucket.',
  );

const noBucketName: Explain = ({ settings: { bucket } }) =>
  unreachable(
    `"${bucket}" cannot be a bucket there`,
    'Correct the bucket in ENCLAVE_MANAGER_REPOSITORY: s3://bucket/prefix.',
  );

const unknownKey: Explain = ({ accessKeyId, settings: { endpoint } }) =>
  unreachable(
    `the access key ${masked(accessKeyId)} is not known at ${endpoint}`,
    'Correct AWS_ACCESS_KEY_ID, or ENCLAVE_MANAGER_S3_ENDPOINT if the key is of another store.',
  );

const wrongSecret: Explain = ({ accessKeyId }) =>
  unreachable(
    `the secret does not fit the access key ${masked(accessKeyId)}`,
    'Correct AWS_SECRET_ACCESS_KEY. If it is right, a proxy may change requests on their way.',
  );

const wrongToken: Explain = () =>
  unreachable(
    'the session token is wrong or has expired',
    'Renew AWS_SESSION_TOKEN with its key and secret, or unset it for permanent credentials.',
  );

const wrongClock: Explain = (_, { headers }) => {
  const theirs = new Date(headers['date'] ?? '');
  const store = Number.isNaN(theirs.getTime()) ? 'another time' : theirs.toISOString();
  return unreachable(
    `the clock of this host is wrong: it says ${new Date().toISOString()}, the store ${store}`,
    'Set the clock of this host (NTP).',
  );
};

const otherRegion: Explain = (attempted, { headers, message }) =>
  wrongRegion(attempted, headers['x-amz-bucket-region'] ?? /expecting '([a-z0-9-]+)'/.exec(message)?.[1]);

const noLock: Explain = ({ settings: { bucket, objectLock } }) =>
  objectLock && {
    code: 'configuration',
    what: `the bucket "${bucket}" does not take objects with a lock`,
    hint: 'Create the bucket with object lock, or set ENCLAVE_MANAGER_S3_OBJECT_LOCK=off.',
  };

const full: Explain = () => noSpace;

const byCode: Readonly<Record<string, Explain>> = {
  NoSuchBucket: noBucket,
  InvalidBucketName: noBucketName,
  InvalidAccessKeyId: unknownKey,
  SignatureDoesNotMatch: wrongSecret,
  InvalidToken: wrongToken,
  ExpiredToken: wrongToken,
  TokenRefreshRequired: wrongToken,
  RequestTimeTooSkewed: wrongClock,
  RequestExpired: wrongClock,
  AuthorizationHeaderMalformed: otherRegion,
  PermanentRedirect: otherRegion,
  IllegalLocationConstraintException: otherRegion,
  AccessDenied: denied,
  AllAccessDisabled: denied,
  AccountProblem: denied,
  InvalidRequest: noLock,
  ObjectLockConfigurationNotFoundError: noLock,
  QuotaExceeded: full,
  XMinioStorageFull: full,
  StorageFull: full,
  InsufficientStorage: full,
  InsufficientCapacity: full,
};

export function explainCode(attempted: Attempted, failure: Failure): Explanation | undefined {
  const { code = '' } = failure;
  return Object.hasOwn(byCode, code) ? byCode[code]!(attempted, failure) : undefined;
}
