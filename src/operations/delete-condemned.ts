import { chunkObjectPath } from '#format/layout.ts';
import { graceIsOver, mayDelete, mayForgetCondemned, wasReadSince, type KeptObjects } from '#model/prune-rules.ts';
import type { OperationContext } from './context.ts';
import type { PrunedRepository } from './plan-prune.ts';
import type { Catalog } from './read-catalog.ts';
import { readCondemned, type StoredCondemned } from './read-condemned.ts';
import { removeUnderLease, type Removal } from './removal.ts';
import { tallyOf, type ObjectSurvey, type Tally } from './survey-objects.ts';

/** Objects deleted between two looks at the lease. */
const batchSize = 16;

export interface PruneFacts {
  readonly catalog: Catalog;
  readonly kept: KeptObjects;
  /** By the store's clock. */
  readonly now: Date;
  readonly graceMs: number;
}

interface Deletion {
  readonly deleted: Tally;
  readonly inGrace: Tally;
  readonly awaitingReadBack: Tally;
  readonly condemnedDocumentsRemoved: number;
}

/** Second phase: deletes what was recorded a grace ago and is still unreferenced, and the records of what is gone. */
export async function deleteCondemned(
  context: OperationContext,
  { store, keyring }: PrunedRepository,
  removal: Removal,
  survey: ObjectSurvey,
  facts: PruneFacts,
): Promise<Deletion> {
  const present = new Map([...survey.condemned, ...survey.unreferenced]);
  const deleted: number[] = [];
  const waiting = new Set<string>();
  let condemnedDocumentsRemoved = 0;
  context.progress.phase('deleting objects');
  const { documents } = await readCondemned(store, keyring);
  const judge = judgeCondemned(documents, survey, facts);
  for (const document of documents) {
    const { deletable, waiting: left } = judge(document, (name) => present.has(name));
    left.forEach((name) => waiting.add(name));
    for (let begin = 0; begin < deletable.length; begin += batchSize) {
      const batch = deletable.slice(begin, begin + batchSize);
      await removeUnderLease(context, removal, ...batch.map(chunkObjectPath));
      context.crashPoints.reach('prune.object-deleted');
      deleted.push(...batch.map((name) => present.get(name)!));
      batch.forEach((name) => present.delete(name));
    }
    if (!mayForgetCondemned(document.objects, (name) => present.has(name))) continue;
    await removeUnderLease(context, removal, document.path);
    context.crashPoints.reach('prune.condemned-removed');
    if (document.objects.length > 0) condemnedDocumentsRemoved += 1;
  }
  return {
    deleted: tallyOf(deleted),
    inGrace: tallyOf(present.values()),
    awaitingReadBack: tallyOf([...waiting].map((name) => present.get(name) ?? 0)),
    condemnedDocumentsRemoved,
  };
}

interface Verdicts {
  readonly deletable: readonly string[];
  /** They only wait for what backups name instead to be read back, or for another with the same rows to get old. */
  readonly waiting: readonly string[];
}

/** Judges what is left of each record that is past its grace. */
export function judgeCondemned(
  documents: readonly StoredCondemned[],
  { siblings }: Pick<ObjectSurvey, 'siblings'>,
  { catalog, kept, now, graceMs }: PruneFacts,
): (document: StoredCondemned, isPresent: (name: string) => boolean) => Verdicts {
  const isOld = ({ modifiedAt }: StoredCondemned): boolean => graceIsOver(modifiedAt.getTime(), now.getTime(), graceMs);
  const old = new Set(documents.filter(isOld).flatMap(({ objects }) => objects));
  const youngFor = (id: string): readonly string[] => (siblings.get(id) ?? []).filter((name) => !old.has(name));
  return (document, isPresent) => {
    if (!isOld(document)) return { deletable: [], waiting: [] };
    const readGood = readGoodSince(document, catalog, now);
    const facts = { kept, youngFor, wasReadGoodSince: (name: string) => readGood.has(name) };
    const unnamed = document.objects.filter((name) => isPresent(name) && !kept.isNamed(name));
    const deletable = unnamed.filter((name) => mayDelete(name, facts));
    const doomed = new Set(deletable);
    return { deletable, waiting: unnamed.filter((name) => !doomed.has(name)) };
  };
}

/**
 * Objects read back after the record was made, for a backup that is listed. When a reading was that the store dates later than
 * now, nobody knows.
 */
function readGoodSince(
  record: StoredCondemned,
  { badObjects, backups, verifications }: Catalog,
  now: Date,
): ReadonlySet<string> {
  const objectsOf = new Map(backups.map(({ entry, objects }) => [entry.id, objects]));
  const good = new Set<string>();
  for (const { passed, modifiedAt, readingMs, backups: read, objects } of verifications) {
    const reading = { storedAtMs: modifiedAt.getTime(), readingMs };
    if (!passed || modifiedAt > now || !wasReadSince(reading, record.modifiedAt.getTime())) continue;
    if (!read.some((id) => objectsOf.has(id))) continue;
    const names = objects ?? read.flatMap((id) => (objectsOf.get(id) ?? []).map(({ name }) => name));
    for (const name of names) if (!badObjects.has(name)) good.add(name);
  }
  return good;
}
