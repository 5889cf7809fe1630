import type { ManifestFacts, RecordedDocument, Rejected } from './read-record.ts';

type Recorded = RecordedDocument<ManifestFacts>;

/**
 * How far the sequence of a backup may be beyond the one before it: a backup each second for more than a century, all others
 * pruned. An enrolled host that signs the highest number there is would otherwise leave none for the next backup.
 */
const maxStep = 2 ** 32;

/** Sets aside what no cluster has counted up to, and everything beyond. */
export function byPlausibleSequence(manifests: readonly Recorded[]): {
  readonly plausible: readonly Recorded[];
  readonly rejected: readonly Rejected[];
} {
  const sequences = manifests.map(({ facts }) => facts.summary.sequence).toSorted((a, b) => a - b);
  let highest = 0;
  for (const sequence of sequences) {
    if (sequence - highest > maxStep) break;
    highest = sequence;
  }
  const isPlausible = ({ facts }: Recorded): boolean => facts.summary.sequence <= highest;
  return {
    plausible: manifests.filter(isPlausible),
    rejected: manifests.filter((each) => !isPlausible(each)).map((each) => implausible(each, highest)),
  };
}

const implausible = ({ object, facts }: Recorded, highest: number): Rejected => ({
  path: object.key,
  code: 'forged',
  reason: `${object.key} has sequence ${facts.summary.sequence}, where the others end at ${highest}: no cluster counts that far`,
});
