import { dirname, join } from 'node:path';
import { z } from 'zod';
import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { fromFileSystemError } from '#errors/file-system-error.ts';
import type { FailureMemory, RememberedFailure } from '#ports/failure-memory.ts';
import { replaceDurably } from './durable-file.ts';
import { exclusively } from './exclusively.ts';
import { absent, readJsonFile } from './json-file.ts';
import { makeDirectories } from './make-directories.ts';

const maxFailures = 1000;
/** Of the file; a name of an object is some 80 bytes. */
const maxCharacters = 16 * 1024 * 1024;

const failuresSchema = z.array(
  z.strictObject({
    clusterId: z.uuid(),
    location: z.string(),
    path: z.string(),
    modifiedAt: z.iso.datetime(),
    verificationId: z.string(),
    backups: z.array(z.string()),
    level: z.enum(['new-chunks', 'all-chunks', 'restored']),
    at: z.iso.datetime(),
    readingMs: z.int().min(0).nullable(),
    nodeId: z.string(),
    passed: z.boolean(),
    bad: z.array(z.string()),
  }),
);

/** One JSON file beside the node's state, `state/failures.json`. */
export function openFailureMemory(dataDirectory: string): FailureMemory {
  const path = join(dataDirectory, 'state', 'failures.json');
  return { read: () => readFailures(path), add: (failures) => addFailures(path, failures) };
}

async function readFailures(path: string): Promise<readonly RememberedFailure[]> {
  const value = await readJsonFile(path, maxCharacters);
  if (value === absent) return [];
  const parsed = failuresSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new EnclaveManagerError('damaged', `${path} is no list of failed verifications`, {
    hint: `Move ${path} away, and verify the backups again: backup verify latest.`,
  });
}

async function addFailures(path: string, failures: readonly RememberedFailure[]): Promise<void> {
  try {
    makeDirectories(dirname(path), 0o700);
    await exclusively(join(dirname(path), 'failures.lock'), path, async () => {
      const before = await readFailures(path);
      const known = new Set(before.map(keyOf));
      const fresh = failures.filter((failure) => !known.has(keyOf(failure)));
      if (fresh.length > 0) await replaceDurably(path, written([...before, ...fresh]));
    });
  } catch (error) {
    throw fromFileSystemError(error, path);
  }
}

const keyOf = ({ clusterId, location, path }: RememberedFailure): string => [clusterId, location, path].join('\0');

/** The newest that fit. */
function written(failures: readonly RememberedFailure[]): string {
  const lines: string[] = [];
  let characters = 0;
  const ordered = failures.toSorted((a, b) => Date.parse(b.modifiedAt) - Date.parse(a.modifiedAt));
  for (const failure of ordered.slice(0, maxFailures)) {
    const line = JSON.stringify(failure);
    characters += line.length + 2;
    if (characters > maxCharacters - 10) break;
    lines.unshift(line);
  }
  return `[\n${lines.join(',\n')}\n]\n`;
}
