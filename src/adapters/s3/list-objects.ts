import type { ListObjectsV2CommandOutput } from '@aws-sdk/client-s3';
import { isObjectKey } from '#ports/object-key.ts';
import type { StoredObject } from '#ports/object-store.ts';
import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { ReplyProblem } from './reply-problem.ts';

/** Some 1 GB of memory; chunks of 1 MiB make this 4 TB. */
const maxObjects = 4_000_000;
/** A page has a thousand objects at most, and may have fewer where keys are long. */
const maxPages = 40_000;

/**
 * Every object whose key begins with `root`, its key without `root`, in key order. Collected before the first is given,
 * because not every store lists in the order of bytes. Keys that no object of ours can have are left out.
 */
export async function listAll(
  root: string,
  prefix: string,
  readPage: (token: string | undefined) => Promise<ListObjectsV2CommandOutput>,
): Promise<StoredObject[]> {
  const found = new Map<string, StoredObject>();
  const tokens = new Set<string>();
  for (let token: string | undefined, more = true, pages = 1; more; pages += 1) {
    const page = await readPage(token);
    for (const object of page.Contents ?? []) {
      const stored = readObject(object, root, page.EncodingType === 'url');
      if (stored?.key.startsWith(prefix) === true && isObjectKey(stored.key)) found.set(stored.key, stored);
    }
    if (found.size > maxObjects || pages > maxPages) throw tooMany(root + prefix);
    more = page.IsTruncated === true;
    token = page.NextContinuationToken;
    if (more && (token === undefined || tokens.has(token))) throw endless(root + prefix);
    if (token !== undefined) tokens.add(token);
  }
  return [...found.values()].toSorted((a, b) => (a.key < b.key ? -1 : 1));
}

const tooMany = (what: string): EnclaveManagerError =>
  new EnclaveManagerError(
    'damaged',
    `the store lists more than ${maxObjects} objects, or ${maxPages} pages, under ${what}`,
    {
      hint: 'No cluster writes so many: remove what was put there, or use another prefix.',
    },
  );

const endless = (what: string): EnclaveManagerError =>
  new EnclaveManagerError(
    'repository-unreachable',
    `the store lists ${what} without end: it gives the same page again`,
  );

function readObject(
  {
    Key: key,
    Size: sizeBytes,
    LastModified: modifiedAt,
    ETag: version,
  }: NonNullable<ListObjectsV2CommandOutput['Contents']>[number],
  root: string,
  encoded: boolean,
): StoredObject | undefined {
  if (key === undefined || sizeBytes === undefined || modifiedAt === undefined)
    throw new ReplyProblem('strange', 'a listing names an object without key, size or time');
  const whole = encoded ? decodeKey(key) : key;
  return whole.startsWith(root) ? { key: whole.slice(root.length), sizeBytes, modifiedAt, version } : undefined;
}

function decodeKey(key: string): string {
  try {
    return decodeURIComponent(key.replaceAll('+', ' '));
  } catch {
    throw new ReplyProblem('strange', 'a listing has a key that cannot be decoded');
  }
}
