import { type KeyringDocument, sha256Hex } from './keyring-entry.ts';
import { keyringPath } from './keyring-paths.ts';
import type { OpenedKeyring } from './opened-keyring.ts';
import type { MemberNode, MembersPayload } from './payloads.ts';

/**
 * The membership that follows the newest one. Its number is the next, or a later one where later memberships were hidden
 * or somebody put something else under that. Throws `not-permitted` on a host that is not a member.
 */
export function nextMembership(
  keyring: OpenedKeyring,
  change: { readonly nodes: readonly MemberNode[]; readonly currentEpoch: number },
  now: Date,
  /** A number that was given, though nothing in the keyring says so. */
  { beyond = 0 }: { readonly beyond?: number } = {},
): KeyringDocument {
  const currentPath = keyringPath({ type: 'members', number: keyring.membership.number });
  const current = keyring.documents.find(({ path }) => path === currentPath);
  if (current === undefined) throw new Error(`the keyring does not hold its own ${currentPath}`);
  const taken = new Set(keyring.rejected.map(({ path }) => path));
  let number = Math.max(keyring.nextMembershipNumber, beyond + 1);
  while (taken.has(keyringPath({ type: 'members', number }))) number += 1;
  const payload: MembersPayload = {
    number,
    previous: sha256Hex(current.bytes),
    currentEpoch: change.currentEpoch,
    keyGeneration: keyring.keyGeneration,
    nodes: [...change.nodes],
    createdAt: now.toISOString(),
  };
  return { path: keyringPath({ type: 'members', number }), bytes: keyring.sign('members', payload) };
}
