import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { parseManifestPath } from '#format/layout.ts';
import type { OpenedKeyring } from '#keys/opened-keyring.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import { manifestLeadingOn } from './carried-keyring.ts';
import type { Catalog } from './read-catalog.ts';

/**
 * Throws `forged` where a manifest carries keys that lead on from these: `keyring/` or the database are from before they were
 * changed, however many manifests a host that was evicted then has put beside it with the old ones. Costs nothing where
 * every manifest counts.
 */
export async function refuseLaterKeys(
  store: ObjectStore,
  keyring: OpenedKeyring,
  { rejected }: Pick<Catalog, 'rejected'>,
): Promise<void> {
  const forged = rejected.filter(({ path, code }) => code === 'forged' && parseManifestPath(path) !== undefined);
  const path = await manifestLeadingOn(
    store,
    keyring,
    forged.map((each) => each.path),
  );
  if (path === undefined) return;
  throw new EnclaveManagerError(
    'forged',
    `${path} carries a newer cluster key than ${keyring.fingerprint}, which is the newest under keyring/ and in the database: newer documents were deleted or hidden, or what was put back is from before`,
    {
      hint: 'Put the newer documents of keyring/ back from a copy. Or take the cluster key from the newest recovery line, which every backup prints, and restore by it: restore run latest --cluster-key FINGERPRINT. Where nobody changed the keys, somebody else has them: move that manifest away and keep it as evidence.',
    },
  );
}
