import { readEpochRecords } from './authentic-entries.ts';
import { type KeyringDocument, readEntries } from './keyring-entry.ts';
import type { OpenedKeyring } from './opened-keyring.ts';
import { isPlausibleStep } from './plausible-step.ts';

/** Whether an epoch document introduces an authentic key generation that replaces the newest one of the keyring. */
export function replacesKeysOf(
  { clusterId, keyGeneration, verifyKey, newestEpoch }: OpenedKeyring,
  document: KeyringDocument,
): boolean {
  return readEpochRecords(readEntries([document], []), []).some(
    ({ entry, previous, payload }) =>
      entry.document.clusterId === clusterId &&
      isPlausibleStep(newestEpoch, payload.epoch) &&
      previous?.keyGeneration === keyGeneration &&
      previous.verifyKey.equals(verifyKey),
  );
}
