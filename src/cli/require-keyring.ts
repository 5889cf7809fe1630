import type { OpenedKeyring } from '#keys/keyring.ts';
import type { OpenedCatalog } from './catalog.ts';
import type { Environment } from './environment.ts';

/** The keys of this host; throws `no-key`, naming the hosts that have them, or `sealing-unavailable`. */
export async function requireKeyring(
  environment: Environment,
  { store, keyring }: OpenedCatalog,
): Promise<OpenedKeyring> {
  if (keyring !== undefined) return keyring;
  const { openRepository } = await import('#operations/open-repository.ts');
  return (await openRepository(store, await environment.sealing())).keyring;
}
