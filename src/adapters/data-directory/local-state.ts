import { dirname, join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { fromFileSystemError } from '#errors/file-system-error.ts';
import type { LocalState, NodeState } from '#ports/local-state.ts';
import { replaceDurably } from './durable-file.ts';
import { exclusively } from './exclusively.ts';
import { absent, readJsonFile } from './json-file.ts';
import { makeDirectories, syncAbove } from './make-directories.ts';

const maxBytes = 64 * 1024;
/** The data directory's own name, and the name of the one it is in. */
const aboveState = 2;

const nodeStateSchema = z.strictObject({
  clusterId: z.uuid(),
  nodeId: z.uuid(),
  credentialId: z.uuid(),
  sealingProvider: z.enum(['software', 'tpm2', 'sgx']),
  clusterKey: z.string().min(1).max(200),
  highestSequence: z.int().min(0),
  highestMembership: z.int().min(1).optional(),
  sealsLives: z.literal(true).optional(),
});

/** The node's state as one JSON file, `state/node.json` in the data directory. */
export function openLocalState(dataDirectory: string): LocalState {
  const path = join(dataDirectory, 'state', 'node.json');
  return { read: () => readState(path), update: (change) => updateState(path, change) };
}

async function readState(path: string): Promise<NodeState | undefined> {
  const value = await readJsonFile(path, maxBytes);
  if (value === absent) return undefined;
  const parsed = nodeStateSchema.safeParse(value);
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
    return await exclusively(join(dirname(path), 'node.lock'), path, async () => {
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
