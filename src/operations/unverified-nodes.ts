import { isEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { KeyringDocument } from '#keys/keyring.ts';
import { parseKeyringPath } from '#keys/keyring-paths.ts';
import { credentialSchema } from '#keys/payloads.ts';
import { parseDocument, parsePayload } from '#keys/signed-document.ts';
import type { NodeId } from '#model/identifiers.ts';

export interface UnverifiedNode {
  readonly nodeId: NodeId;
  readonly name: string;
  readonly site: string | null;
}

const maxNodes = 1000;

/**
 * Which hosts a keyring says can open all the epochs. For a host without a key, which can tell nothing authentic from
 * forged: good enough to know where to go, never to decide anything.
 */
export function unverifiedNodes(documents: readonly KeyringDocument[], epochs: readonly number[]): UnverifiedNode[] {
  const slots = new Set<string>();
  const nodes = new Map<NodeId, UnverifiedNode>();
  for (const { path, bytes } of documents) {
    const place = parseKeyringPath(path);
    if (place?.type === 'slot') slots.add(`${place.epoch} ${place.nodeId}`);
    if (place?.type !== 'credential' || nodes.size >= maxNodes) continue;
    const node = readNode(bytes);
    if (node?.nodeId === place.nodeId) nodes.set(node.nodeId, node);
  }
  return [...nodes.values()].filter(({ nodeId }) => epochs.every((epoch) => slots.has(`${epoch} ${nodeId}`)));
}

function readNode(bytes: Buffer): UnverifiedNode | undefined {
  try {
    const parsed = credentialSchema.safeParse(parsePayload(parseDocument(bytes, 'credential')));
    return parsed.success ? { nodeId: parsed.data.nodeId, name: parsed.data.name, site: parsed.data.site } : undefined;
  } catch (error) {
    if (isEnclaveManagerError(error)) return undefined;
    throw error;
  }
}
