import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { KeyringDocument, OpenedKeyring } from '#keys/keyring.ts';
import { keyringPath } from '#keys/keyring-paths.ts';
import type { DatabaseServer } from '#ports/database.ts';
import type { NodeState } from '#ports/local-state.ts';
import { readKeyringDocuments } from '#store/keyring-documents.ts';
import { isLifeSealed } from '#store/life-seal.ts';

/**
 * What follows the cluster key that a host remembers was signed with that key, and a host that was evicted meanwhile knows
 * it: to a host that was off, its keys look like the cluster's. `undefined` where this host has seen the newest key.
 */
export function describeNewerKey(
  { fingerprint, fingerprints }: OpenedKeyring,
  remembered: NodeState | undefined,
  where: string,
): string | undefined {
  if (remembered === undefined || remembered.clusterKey === fingerprint) return undefined;
  if (!fingerprints.has(remembered.clusterKey)) return undefined;
  return `this host has seen the cluster key ${remembered.clusterKey}; ${where} leads on to ${fingerprint}, ${whoCouldHaveMadeIt}`;
}

export const whoCouldHaveMadeIt = 'which a host that was evicted meanwhile could have made as well';

/** Throws `usage` where this host has not seen the newest key. `command` names it, and `otherwise` is what helps beside that. */
export function refuseNewerKey(
  keyring: OpenedKeyring,
  remembered: NodeState | undefined,
  where: string,
  {
    command = '--cluster-key FINGERPRINT',
    otherwise = 'Where a change of keys was interrupted beside a live database, start the manager first: it ends that.',
  }: { readonly command?: string; readonly otherwise?: string } = {},
): void {
  const message = describeNewerKey(keyring, remembered, where);
  if (message === undefined) return;
  throw new EnclaveManagerError('usage', message, { hint: `${nameTheKey(command)}. ${otherwise}` });
}

export const nameTheKey = (command: string): string =>
  `Take the cluster key from the newest recovery line, which every backup prints, or from keys status on a host that was on, and name it: ${command}`;

/** Whether the documents hold that of the newest cluster key, byte for byte. */
function holdsNewestKey(documents: readonly KeyringDocument[], keyring: OpenedKeyring): boolean {
  const path = keyringPath({ type: 'epoch', epoch: keyring.newestEpoch });
  const newest = keyring.documents.find((document) => document.path === path);
  return newest !== undefined && documents.some((each) => each.path === path && each.bytes.equals(newest.bytes));
}

/**
 * Whether the live database, which is there and has a cluster, vouches for the newest key: it holds that document, and its life
 * began where it is. Rows that somebody copied or replayed hold whatever that somebody liked.
 */
export async function liveDatabaseVouches(server: DatabaseServer, keyring: OpenedKeyring): Promise<boolean> {
  const database = server.open(server.liveName, { connections: 1 });
  try {
    return await database.transaction(
      async (queries) =>
        holdsNewestKey(await readKeyringDocuments(queries), keyring) &&
        (await isLifeSealed(database, queries, keyring)),
    );
  } finally {
    await database.close();
  }
}
