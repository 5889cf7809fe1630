import { readEpochRecords } from './authentic-entries.ts';
import type { EpochRecord } from './generations.ts';
import { type KeyringDocument, readEntries, sha256Hex } from './keyring-entry.ts';
import { parseKeyringPath } from './keyring-paths.ts';
import type { OpenedKeyring } from './opened-keyring.ts';
import { isPlausibleStep } from './plausible-step.ts';

/** Whether an epoch document introduces an authentic key generation that replaces the newest one of the keyring. */
export function replacesKeysOf(
  { clusterId, keyGeneration, verifyKey, newestEpoch }: OpenedKeyring,
  document: KeyringDocument,
): boolean {
  if (parseKeyringPath(document.path)?.type !== 'epoch') return false;
  return recordsOf(document, clusterId).some(
    ({ previous, payload }) =>
      isPlausibleStep(newestEpoch, payload.epoch) &&
      previous?.keyGeneration === keyGeneration &&
      previous.verifyKey.equals(verifyKey),
  );
}

/**
 * Whether an epoch document that the keyring was not opened from could make it another one, were it opened again: it stands
 * beyond the newest epoch, or a generation that this host's credential leads to signed it, as those do that a host was left
 * out with. Compares bytes: under a name where something else lay before, the keys may have changed as well.
 */
export function couldReplaceKeysOf(keyring: OpenedKeyring, document: KeyringDocument): boolean {
  const place = parseKeyringPath(document.path);
  if (place?.type !== 'epoch' || keyring.seen.has(sha256Hex(document.bytes))) return false;
  const isBeyond = place.epoch > keyring.newestEpoch;
  return recordsOf(document, keyring.clusterId).some(
    ({ previous }) =>
      isBeyond ||
      (previous !== undefined &&
        previous.keyGeneration >= keyring.sealedGeneration &&
        keyring.fingerprints.has(previous.fingerprint)),
  );
}

/** The lowest epoch whose document could do that: no host that was left out signs for what this one's credential trusts. */
export const firstReplaceableEpoch = ({ sealedGeneration, keyGeneration, newestEpoch }: OpenedKeyring): number =>
  sealedGeneration === keyGeneration ? newestEpoch + 1 : 1;

function recordsOf(document: KeyringDocument, clusterId: string): readonly EpochRecord[] {
  return readEpochRecords(readEntries([document], []), []).filter(
    ({ entry }) => entry.document.clusterId === clusterId,
  );
}
