import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { errnoName, fromFileSystemError } from '#errors/file-system-error.ts';
import type { LocalState, NodeState } from '#ports/local-state.ts';
import { replaceDurably } from './durable-file.ts';
import { tryKernelLock } from './kernel-lock.ts';
import { makeDirectories, syncAbove } from './make-directories.ts';

const maxBytes = 64 * 1024;
/** Together a minute at least. */
const lockAttempts = 6000;
const lockPauseMs = 10;
/** The data directory's own name, and the name of the one it is in. */
const aboveState = 2;

const nodeStateSchema = z.strictObject({
  clusterId: z.uuid(),
  nodeId: z.uuid(),
  credentialId: z.uuid(),
  sealingProvider: z.enum(['software', 'tpm2', 'sgx']),
  clusterKey: z.string().min(1).max(200),
  highestSequence: z.int().min(0),
});

/** The node's state as one JSON file, `state/node.json` in the data directory. */
export function openLocalState(dataDirectory: string): LocalState {
  const path = join(dataDirectory, 'state', 'node.json');
  return { read: () => readState(path), update: (change) => updateState(path, change) };
}

async function readState(path: string): Promise<NodeState | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (errnoName(error) === 'ENOENT') return undefined;
    throw fromFileSystemError(error, path);
  }
  const parsed = nodeStateSchema.safeParse(parseJson(text));
  if (parsed.success) return parsed.data;
  throw new EnclaveManagerError('damaged', `${path} is not the state of a node: ${z.prettifyError(parsed.error)}`, {
    hint: `Move ${path} away: the node then finds its place in the repository again, and asks which cluster it trusts.`,
  });
}

async function updateState<State extends NodeState | undefined>(
  path: string,
  change: (before: NodeState | undefined) => State,
): Promise<State> {
  const seen = await readState(path);
  const wanted = change(seen);
  if (isDeepStrictEqual(wanted, seen)) return wanted;
  try {
    makeDirectories(dirname(path), 0o700);
    return await locked(path, async () => {
      const before = await readState(path);
      const next = change(before);
      if (next === undefined || isDeepStrictEqual(next, before)) return next;
      await replaceDurably(path, `${JSON.stringify(nodeStateSchema.parse(next), null, 2)}\n`);
      // Whoever made the directories may have been killed before they were durable.
      if (before === undefined) syncAbove(dirname(path), aboveState);
      return next;
    });
  } catch (error) {
    throw fromFileSystemError(error, path);
  }
}

/** Of all processes one at a time, by a lock that ends with its process. Held for no longer than two files take to be flushed. */
async function locked<T>(path: string, work: () => Promise<T>): Promise<T> {
  const lockPath = join(dirname(path), 'node.lock');
  for (let attempt = 0; attempt < lockAttempts; attempt += 1) {
    const lock = tryKernelLock(lockPath);
    if (lock === undefined) {
      await setTimeout(lockPauseMs);
      continue;
    }
    try {
      return await work();
    } finally {
      lock.close();
    }
  }
  throw new EnclaveManagerError('data-directory-in-use', `${path} is kept by another process that does not end`, {
    hint: 'Look for a command of enclave-manager on this data directory that hangs or was stopped, and end it.',
  });
}

function parseJson(text: string): unknown {
  if (text.length > maxBytes) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
