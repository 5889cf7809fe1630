import { maxIncarnationNumber, type BackupSummary, type Incarnation } from './backup.ts';

/**
 * The newest backup that shows another life of the cluster's data at least as new as `live`: a restore or an import began
 * it in another database, and that one backs up into the same repository. Of two with one number neither is the older,
 * so each stops the other. `undefined` where `live` is the newest life.
 * Nothing comes after the highest number there is, so one that somebody planted stops nobody.
 */
export function backupOfNewerLife<T extends Pick<BackupSummary, 'incarnation' | 'sequence'>>(
  live: Incarnation,
  backups: readonly T[],
): T | undefined {
  const others = backups.filter(({ incarnation: { number, random } }) => {
    if (number >= maxIncarnationNumber) return false;
    return number === live.number ? random !== live.random : number > live.number;
  });
  const [first] = others.toSorted((a, b) => b.incarnation.number - a.incarnation.number || b.sequence - a.sequence);
  return first;
}
