import type { KeyChange } from '#operations/change-keys.ts';
import type { KeyChangePlan } from '#operations/plan-key-change.ts';
import type { Style } from './output/style.ts';
import { formatSize } from './output/units.ts';

/** What both plans say last. */
export function describeCosts({ nextBackupBytes, toReseal, isUnsavedLife }: KeyChangePlan): string {
  return (
    (isUnsavedLife ? unsaved : '') +
    `The next backup stores everything anew, about ${formatSize(nextBackupBytes)}; older backups stay restorable.\n` +
    `Open invites become worthless. Recovery lines from before name a key that is no longer the newest.\n` +
    `These hosts seal their credential anew, each when its manager or a command runs next: ${namesOf(toReseal)}\n`
  );
}

const unsaved =
  'No backup is of this database yet, since a restore or an import began its life. Where it is a try and another database of\n' +
  'this cluster is the live one, do not go on: that one would not open under the new keys. Where it is the live one, take a\n' +
  'backup first: backup create\n';

/** What both results say last. */
export function describeKeys(change: KeyChange, style: Style): string {
  const { clusterId, clusterKey, keyGeneration, epoch, waitingFor } = change;
  const open =
    waitingFor.length === 0
      ? 'Every host has sealed its credential anew.\n'
      : `${style.warn('Not complete')} until these hosts have sealed their credential anew: ${namesOf(waitingFor)}\n` +
        'Start the manager there, or run any command; keys status shows what is left.\n';
  return (
    `Cluster ${clusterId} signs with generation ${keyGeneration} and encrypts under epoch ${epoch}\n${open}` +
    `Cluster key, for the recovery line: ${clusterKey}\nTake a backup under the new keys: enclave-manager backup create\n`
  );
}

export const namesOf = (nodes: readonly { readonly name: string }[]): string =>
  nodes.map(({ name }) => name).join(', ') || 'none';
