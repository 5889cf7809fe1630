import type { S3Credentials, S3Settings, SecretSource } from '#model/s3-settings.ts';
import type { BucketLocation } from './repository-location.ts';
import { type OptionName, options } from './options.ts';
import { amazonEndpoint, readEndpoint } from './s3-endpoints.ts';
import type { ConfigurationSources, Problem, ReadSettings } from './settings.ts';

/** An `s3://` repository with everything that is needed to reach it. */
export interface BucketChoice {
  readonly kind: 's3';
  readonly settings: S3Settings;
}

const credentialOptions = {
  usual: { accessKeyId: 's3AccessKeyId', secretAccessKey: 's3SecretAccessKey', sessionToken: 's3SessionToken' },
  prune: {
    accessKeyId: 'pruneAccessKeyId',
    secretAccessKey: 'pruneSecretAccessKey',
    sessionToken: 'pruneSessionToken',
  },
} as const;

const prunePrefix = 'ENCLAVE_MANAGER_PRUNE_';

/** Variables of the environment at large: wrong ones matter only where they are used. */
const foreignVariable = /^AWS_/;

/** Without an `s3://` repository nothing that only it uses can be wrong. */
export const concernsNobody = ({ setting }: Problem): boolean => foreignVariable.test(setting);

/** Puts the options together; what is missing is added to the problems. */
export function chooseBucket(
  location: BucketLocation,
  { values, problems }: ReadSettings,
  sources: ConfigurationSources,
): BucketChoice | undefined {
  const usual = readCredentials(credentialOptions.usual, values, sources);
  const prune = readCredentials(credentialOptions.prune, values, sources);
  const wrong = (prefix: string): boolean => problems.some(({ setting }) => setting.startsWith(prefix));
  if (!wrong('AWS_')) problems.push(...missing(usual, location, values.s3AccessKeyId, 'AWS_'));
  const anyPrune = [values.pruneAccessKeyId, values.pruneSecretAccessKey].some((value) => value !== undefined);
  if (anyPrune && !wrong(prunePrefix)) problems.push(...missing(prune, location, values.pruneAccessKeyId, prunePrefix));
  if (usual === undefined) return undefined;
  const endpoint = values.s3Endpoint ?? amazonEndpoint(values.s3Region ?? 'us-east-1');
  const facts = readEndpoint(endpoint, location.bucket);
  const { s3Addressing: addressing = 'auto' } = values;
  return {
    kind: 's3',
    settings: {
      bucket: location.bucket,
      prefix: location.prefix,
      endpoint,
      region: values.s3Region ?? facts.region,
      addressing: addressing === 'auto' ? facts.addressing : addressing,
      checksums: values.s3Checksums ?? 'signature',
      credentials: usual,
      ...(prune === undefined ? {} : { deleteCredentials: prune }),
      ...(values.s3CaFile === undefined ? {} : { caFile: values.s3CaFile }),
      ...(values.s3Proxy === undefined ? {} : { proxy: values.s3Proxy }),
      ...(values.s3ObjectLock === undefined ? {} : { objectLock: values.s3ObjectLock }),
    },
  };
}

type CredentialOptions = Readonly<Record<keyof S3Credentials, OptionName>>;

function readCredentials(
  names: CredentialOptions,
  values: ReadSettings['values'],
  sources: ConfigurationSources,
): S3Credentials | undefined {
  const source = (name: OptionName): SecretSource | undefined => {
    const value = values[name];
    if (typeof value !== 'string') return undefined;
    const file = sources.environment[`${options[name].environment}_FILE`];
    return file === undefined ? { value } : { file };
  };
  const accessKeyId = source(names.accessKeyId);
  const secretAccessKey = source(names.secretAccessKey);
  const sessionToken = source(names.sessionToken);
  if (accessKeyId === undefined || secretAccessKey === undefined) return undefined;
  return { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) };
}

function missing(
  credentials: S3Credentials | undefined,
  { bucket }: BucketLocation,
  accessKeyId: string | undefined,
  prefix: string,
): Problem[] {
  if (credentials !== undefined) return [];
  const setting = `${prefix}${accessKeyId === undefined ? 'ACCESS_KEY_ID' : 'SECRET_ACCESS_KEY'}`;
  return [
    {
      setting,
      message: `${setting} is not set, and the bucket ${bucket} needs it`,
      hint: `Set ${prefix}ACCESS_KEY_ID and ${prefix}SECRET_ACCESS_KEY, or name files: ${prefix}ACCESS_KEY_ID_FILE, ${prefix}SECRET_ACCESS_KEY_FILE.`,
    },
  ];
}
