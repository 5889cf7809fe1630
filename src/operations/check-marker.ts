import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { markerPath } from '#format/layout.ts';
import { readMarker } from '#format/marker.ts';
import type { OpenedKeyring } from '#keys/keyring.ts';
import { documentLimits } from '#keys/signed-document.ts';
import type { ObjectStore } from '#ports/object-store.ts';

/** A repository without our marker, or with another cluster's, is not written to. */
export async function checkMarker(store: ObjectStore, keyring: OpenedKeyring): Promise<void> {
  const bytes = await store.get(markerPath, { maxBytes: documentLimits.marker });
  if (bytes === undefined) {
    throw new EnclaveManagerError('damaged', `the repository ${store.location} has no ${markerPath}`, {
      hint: 'Start the manager (serve): it adopts an empty repository. Where backups lie there, put the file back from a copy.',
    });
  }
  const { clusterId } = readMarker(bytes);
  if (clusterId !== keyring.clusterId) {
    throw new EnclaveManagerError(
      'repository-foreign',
      `the repository ${store.location} belongs to cluster ${clusterId}, this is cluster ${keyring.clusterId}`,
    );
  }
  keyring.verify('marker', bytes);
}
