import { EnclaveManagerError, isEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { markerPath, probePrefix } from '#format/layout.ts';
import { readMarker } from '#format/marker.ts';
import { documentLimits } from '#keys/signed-document.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import type { StoreExaminer, StoreFinding } from '#ports/store-examiner.ts';
import { isEmptyRepository } from './adopt-repository.ts';
import type { OperationContext } from './context.ts';
import { listBounded } from './list-bounded.ts';
import { probeObjects } from './probe-objects.ts';
import { measureSpeed, type Speed } from './probe-speed.ts';

export interface RepositoryCheck {
  readonly location: string;
  /** Nothing that was found is bad. */
  readonly ok: boolean;
  readonly findings: readonly StoreFinding[];
  /** `null` where nothing could be put. */
  readonly speed: Speed | null;
  /** What probes put and could not remove; it has no meaning for backups. */
  readonly leftBehind: readonly string[];
}

/** What an interrupted check left is removed by another one, once that cannot be running any more. */
const abandonedMs = 3_600_000;

/**
 * Looks at a repository as a place for backups, with objects of its own that it removes again; reads and writes no backup.
 * Needs no key. Throws only where the store cannot be listed at all: then nothing else can be said.
 */
export async function checkRepository(context: OperationContext, examiner: StoreExaminer): Promise<RepositoryCheck> {
  const { store } = examiner;
  context.progress.phase('looking at the repository');
  const findings = [await whoseRepository(store)];
  for await (const finding of examiner.look()) findings.push(finding);
  const reason = await examiner.whyProbesWouldStay();
  const probed = reason === undefined ? await probe(context, examiner, findings) : undefined;
  if (reason !== undefined) findings.push(notProbed(reason));
  context.progress.end();
  const ok = findings.every(({ grade }) => grade !== 'bad');
  return { location: store.location, ok, findings, speed: probed?.speed ?? null, leftBehind: probed?.leftBehind ?? [] };
}

async function probe(context: OperationContext, examiner: StoreExaminer, findings: StoreFinding[]) {
  const { store } = examiner;
  await sweepAbandoned(context, examiner);
  const place = `${probePrefix}${context.randomness.bytes(8).toString('hex')}-`;
  let speed: Speed | null = null;
  try {
    for await (const finding of probeObjects(context, store, place)) findings.push(finding);
    context.signal.throwIfAborted();
    for await (const finding of examiner.probe(place)) findings.push(finding);
    context.signal.throwIfAborted();
    speed = await measureSpeed(context, store, place).catch(typedAsNull);
  } catch (error) {
    await examiner.sweep(place).catch(typedAsNull);
    throw error;
  }
  context.progress.phase('removing the probes');
  const leftBehind = await examiner.sweep(place);
  if (leftBehind.length > 0) findings.push(leftovers(leftBehind.length));
  return { speed, leftBehind };
}

async function whoseRepository(store: ObjectStore): Promise<StoreFinding> {
  const topic = 'repository';
  const empty = await isEmptyRepository(store);
  const marker = await store.get(markerPath, { maxBytes: documentLimits.marker });
  if (marker === undefined) {
    return empty
      ? { topic, grade: 'good', found: 'nothing lies there', means: 'serve takes it for its backups' }
      : {
          topic,
          grade: 'bad',
          found: `there is no ${markerPath}, and something else`,
          means: 'nothing is written where something unknown lies: choose another prefix, or restore that file',
        };
  }
  try {
    const { clusterId } = readMarker(marker);
    return { topic, grade: 'good', found: `of cluster ${clusterId}`, means: 'only this cluster writes there' };
  } catch (error) {
    if (!isEnclaveManagerError(error)) throw error;
    return { topic, grade: 'bad', found: error.message, means: 'nothing is written until that is put right' };
  }
}

async function sweepAbandoned({ clock }: OperationContext, examiner: StoreExaminer): Promise<void> {
  const places = new Set<string>();
  for await (const { key, modifiedAt } of listBounded(examiner.store, probePrefix)) {
    const place = /^check-[0-9a-f]{16}-/.exec(key)?.[0];
    if (place !== undefined && clock.now().getTime() - modifiedAt.getTime() > abandonedMs) places.add(place);
  }
  for (const place of places) await examiner.sweep(place);
}

const notProbed = (reason: string): StoreFinding => ({
  topic: 'probes',
  grade: 'notice',
  found: `nothing was put: ${reason}`,
  means: 'what the store does with objects that are put is not known',
});

const leftovers = (count: number): StoreFinding => ({
  topic: 'probes',
  grade: 'notice',
  found: `${count} probes could not be removed`,
  means: 'they lie beside the backups, mean nothing and are paid for; remove what begins with check-',
});

function typedAsNull(error: unknown): null {
  if (error instanceof EnclaveManagerError && !['interrupted', 'terminated'].includes(error.code)) return null;
  throw error;
}
