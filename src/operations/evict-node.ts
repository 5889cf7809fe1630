import type { OpenedKeyring } from '#keys/keyring.ts';
import type { NodeId } from '#model/identifiers.ts';
import { isMember } from './advance-keys.ts';
import type { AskedFreshness } from './hidden-backups.ts';
import { changeKeys, type KeyChange } from './change-keys.ts';
import type { Cluster, Host, OperationContext } from './context.ts';
import { refuseOwnAndLast, type NamedNode } from './plan-key-change.ts';

/**
 * Evicts a node: new keys that it does not get, and everything of before that counts written down and signed, because the
 * node knows the keys of before. A node that is no member any more is evicted already; what is left to do is done.
 *
 * Throws `not-permitted` for this host and the last one, `lease-held` beside a backup or a restore, `forged` where backups are
 * hidden that nobody accepted to lose.
 */
export async function evictNode(
  context: OperationContext,
  host: Host,
  cluster: Cluster,
  node: NamedNode,
  accepted: AskedFreshness = {},
): Promise<KeyChange> {
  const decide = (keyring: OpenedKeyring): NodeId[] | undefined => {
    if (!isMember(keyring, node.nodeId)) return undefined;
    refuseOwnAndLast(keyring, node);
    return [node.nodeId];
  };
  return await changeKeys(context, host, cluster, decide, accepted);
}
