import { readFileSync, statSync } from 'node:fs';
import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { errnoName } from '#errors/file-system-error.ts';
import type { S3Credentials, SecretSource } from '#model/s3-settings.ts';

export interface Identity {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

const maxSecretBytes = 65_536;

/** Throws `configuration` naming a file that cannot be read. */
export function readIdentity({ accessKeyId, secretAccessKey, sessionToken }: S3Credentials): Identity {
  return {
    accessKeyId: readSecret(accessKeyId),
    secretAccessKey: readSecret(secretAccessKey),
    ...(sessionToken === undefined ? {} : { sessionToken: readSecret(sessionToken) }),
  };
}

function readSecret(source: SecretSource): string {
  if ('value' in source) return source.value;
  try {
    if (statSync(source.file).size > maxSecretBytes) throw new Error('it is too large');
    const text = readFileSync(source.file, 'utf8').trim();
    if (text === '') throw new Error('it is empty');
    return text;
  } catch (error) {
    const reason = errnoName(error) ?? (error instanceof Error ? error.message : 'error');
    throw new EnclaveManagerError('configuration', `the credentials file ${source.file} cannot be read: ${reason}`, {
      hint: 'Name a file that this user may read; AWS_ACCESS_KEY_ID_FILE and AWS_SECRET_ACCESS_KEY_FILE name it.',
      cause: error,
    });
  }
}

/** Changes when a file does; constant where the secrets are not in files. */
export function credentialsVersion({ accessKeyId, secretAccessKey, sessionToken }: S3Credentials): string {
  return [accessKeyId, secretAccessKey, sessionToken].map(sourceVersion).join(' ');
}

function sourceVersion(source: SecretSource | undefined): string {
  if (source === undefined || 'value' in source) return '-';
  const stat = statSync(source.file, { throwIfNoEntry: false, bigint: true });
  return stat === undefined ? 'absent' : `${stat.ino}.${stat.mtimeNs}.${stat.size}`;
}

export const sameIdentity = (a: Identity, b: Identity): boolean =>
  a.accessKeyId === b.accessKeyId && a.secretAccessKey === b.secretAccessKey && a.sessionToken === b.sessionToken;
