import type { BackupId } from './identifiers.ts';
import { foldVerifications, type VerificationFacts } from './verified.ts';

interface NamedBackup {
  readonly id: BackupId;
  readonly objects: readonly string[];
}

/** `foldVerifications` for objects that are told by their names. */
export function foldNamed(backups: readonly NamedBackup[], verifications: readonly VerificationFacts[]) {
  const names: string[] = [];
  const number = (name: string): number => (names.includes(name) ? names.indexOf(name) : names.push(name) - 1);
  const numbers = (list: readonly string[]): Uint32Array => Uint32Array.from(list.map(number));
  const facts = backups.map(({ id, objects }) => ({ summary: { id }, objects: numbers(objects) }));
  const numbered = verifications.map((each) => ({
    ...each,
    objects: each.objects && numbers(each.objects),
    bad: numbers(each.bad),
  }));
  const { of, badObjects, readAt } = foldVerifications(facts, numbered, names.length);
  const wasRead = names.map((name, index) => [name, readAt[index]!] as const).filter(([, at]) => !Number.isNaN(at));
  return { of, badObjects: new Set([...badObjects].map((each) => names[each]!)), readAt: new Map(wasRead) };
}
