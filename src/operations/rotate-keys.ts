import type { AskedFreshness } from './hidden-backups.ts';
import { changeKeys, type KeyChange } from './change-keys.ts';
import type { Cluster, Host, OperationContext } from './context.ts';

/** New keys for the same nodes. Where somebody was interrupted while changing them, it finishes that and makes no further ones. */
export async function rotateKeys(
  context: OperationContext,
  host: Host,
  cluster: Cluster,
  accepted: AskedFreshness = {},
): Promise<KeyChange> {
  return await changeKeys(context, host, cluster, (_, resumed) => (resumed ? undefined : []), accepted);
}
