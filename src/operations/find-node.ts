import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { NodeId } from '#model/identifiers.ts';

interface NamedNode {
  readonly nodeId: NodeId;
  readonly name: string;
}

/** The node that a person named by its id, or by its name where only one has it. Throws `not-found`, `usage`. */
export function findNode<Node extends NamedNode>(nodes: readonly Node[], idOrName: string): Node {
  const found = nodes.filter(({ nodeId, name }) => nodeId === idOrName || name === idOrName);
  const byId = found.find(({ nodeId }) => nodeId === idOrName);
  const [first, second] = byId === undefined ? found : [byId];
  if (first === undefined) {
    throw new EnclaveManagerError('not-found', `no enrolled host is called ${idOrName}`, {
      hint: 'node list shows names and ids.',
    });
  }
  if (second === undefined) return first;
  throw new EnclaveManagerError('usage', `${found.length} enrolled hosts are called ${idOrName}`, {
    hint: `Name one by its id: ${found.map(({ nodeId }) => nodeId).join(', ')}.`,
  });
}
