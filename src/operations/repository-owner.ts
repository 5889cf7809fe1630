import { markerPath } from '#format/layout.ts';
import { readMarker } from '#format/marker.ts';
import { documentLimits } from '#keys/signed-document.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import { damagedAsAbsent } from './damaged-as-absent.ts';

/**
 * The cluster that the marker names, which proves nothing; `undefined` where it is lost or damaged. A repository of a newer format
 * is left alone, whatever else can be read in it: throws `version-incompatible`.
 */
export async function readOwner(store: ObjectStore): Promise<string | undefined> {
  try {
    const bytes = await store.get(markerPath, { maxBytes: documentLimits.marker });
    return bytes && readMarker(bytes).clusterId;
  } catch (error) {
    return damagedAsAbsent(error);
  }
}
