import { fileURLToPath } from 'node:url';
import { OptionProblem, type Place } from './option.ts';
import { parsePath } from './values.ts';

export type RepositoryLocation =
  | { readonly kind: 'none' }
  | { readonly kind: 'directory'; readonly path: string }
  | BucketLocation;

export interface BucketLocation {
  readonly kind: 's3';
  readonly bucket: string;
  /** Empty, or with a slash at its end and none at its beginning. */
  readonly prefix: string;
}

export function parseRepository(text: string, place: Place): RepositoryLocation {
  if (text === 'none') return { kind: 'none' };
  if (text === '') {
    throw new OptionProblem('is empty', 'Name a directory, or say none to run without backups, or unset it.');
  }
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]*):/.exec(text)?.[1]?.toLowerCase();
  if (scheme === undefined) return { kind: 'directory', path: parsePath(text, place) };
  if (scheme === 'file') return { kind: 'directory', path: parsePath(pathOfFileUrl(text), place) };
  if (scheme === 's3') return parseBucket(text);
  throw new OptionProblem(
    `has the unknown scheme ${scheme}`,
    'Use a directory, file:///directory, s3://bucket/prefix, or none.',
  );
}

function pathOfFileUrl(text: string): string {
  try {
    return fileURLToPath(new URL(text));
  } catch {
    throw new OptionProblem(
      'is not a file URL of this host',
      'Write it with three slashes and an absolute path: file:///var/backups/malbork.',
    );
  }
}

/** 3 to 63 characters; capitals and underscores, which some stores allow, included. */
const bucketPattern = /^[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]$/;
const segmentPattern = /^[A-Za-z0-9!_.*'()-]{1,100}$/;
/** Our own keys take up to 500 of the 1024 that stores allow. */
const maxPrefixCharacters = 400;

/** `s3://bucket`, `s3://bucket/a/b`, with any number of slashes anywhere in the prefix. */
function parseBucket(text: string): BucketLocation {
  const [bucket = '', ...segments] = text
    .replace(/^[sS]3:\/*/, '')
    .split('/')
    .filter((segment, index) => index === 0 || segment !== '');
  if (bucket.includes('@')) {
    throw new OptionProblem(
      'holds credentials, which do not belong into a location',
      'Give them as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or as files: AWS_ACCESS_KEY_ID_FILE, AWS_SECRET_ACCESS_KEY_FILE.',
    );
  }
  if (!bucketPattern.test(bucket)) {
    throw new OptionProblem(
      bucket === '' ? 'names no bucket' : 'names a bucket that no store has: they have 3 to 63 characters',
      'Write s3://bucket or s3://bucket/prefix; the endpoint goes into ENCLAVE_MANAGER_S3_ENDPOINT.',
    );
  }
  const prefix = segments.map((segment) => `${segment}/`).join('');
  if (
    prefix.length > maxPrefixCharacters ||
    segments.some((segment) => !segmentPattern.test(segment) || /^\.+$/.test(segment))
  ) {
    throw new OptionProblem(
      'has a prefix that not every store can keep',
      `Use letters, digits, dots, dashes and underscores between the slashes, ${maxPrefixCharacters} characters at most.`,
    );
  }
  return { kind: 's3', bucket, prefix };
}

/** Credentials do not belong into a location; where they stand there, they are not shown. */
export const maskUserOfUrl = (text: string): string => text.replace(/\/\/[^/@]*@/, '//***@');
