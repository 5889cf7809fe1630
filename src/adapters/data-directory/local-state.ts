import { open, readFile, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { errnoName, fromFileSystemError } from '#errors/file-system-error.ts';
import type { LocalState, NodeState } from '#ports/local-state.ts';
import { makeDirectories } from './make-directories.ts';

const maxBytes = 64 * 1024;

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
  return { read: () => readState(path), write: (state) => writeState(path, state) };
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

/** Written beside, flushed, renamed, and the directory flushed: after a power failure it is the old state or the new one. */
async function writeState(path: string, state: NodeState): Promise<void> {
  const next = `${path}.new`;
  try {
    makeDirectories(dirname(path), 0o700);
    const file = await open(next, 'w', 0o600);
    try {
      await file.writeFile(`${JSON.stringify(nodeStateSchema.parse(state), null, 2)}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(next, path);
    const directory = await open(dirname(path), 'r');
    try {
      await directory.sync();
    } finally {
      await directory.close();
    }
  } catch (error) {
    throw fromFileSystemError(error, path);
  }
}

function parseJson(text: string): unknown {
  if (text.length > maxBytes) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
