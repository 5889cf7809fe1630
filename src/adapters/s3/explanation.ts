import type { ErrorCode } from '#errors/codes.ts';
import type { S3Settings } from '#model/s3-settings.ts';

/** What was tried when it failed. */
export interface Attempted {
  /** `put`, `list` … */
  readonly action: string;
  readonly location: string;
  readonly key: string;
  readonly settings: S3Settings;
  readonly accessKeyId: string;
  /** Why newer credentials are not in use. */
  readonly refusedCredentials: string | undefined;
}

export interface Explanation {
  readonly code: ErrorCode;
  readonly what: string;
  readonly hint: string;
}

export const unreachable = (what: string, hint: string): Explanation => ({
  code: 'repository-unreachable',
  what,
  hint,
});

export function denied({ action, settings, accessKeyId }: Attempted): Explanation {
  return unreachable(
    `the access key ${masked(accessKeyId)} may not ${action} in the bucket "${settings.bucket}"`,
    'Give the key the permissions that docs/s3.md lists; repository check shows which are missing.',
  );
}

export function wrongRegion({ settings }: Attempted, told: string | undefined): Explanation {
  const { endpoint, region } = settings;
  const right = told === undefined ? '' : `; it says ${told}`;
  return unreachable(
    `the store at ${endpoint} does not take the region ${region}${right}`,
    `Set ENCLAVE_MANAGER_S3_REGION${told === undefined ? '' : `=${told}`}, and the endpoint of that region.`,
  );
}

export const noSpace: Explanation = {
  code: 'no-space',
  what: 'the store has no space left for us',
  hint: 'Free space or raise the quota there.',
};

/** Enough to recognise a key by. */
export const masked = (accessKeyId: string): string => `${accessKeyId.slice(0, 4)}…`;
