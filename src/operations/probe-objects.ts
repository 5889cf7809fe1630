/** What every store must do, asked through the port. */
import { isEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import type { StoreFinding } from '#ports/store-examiner.ts';
import type { OperationContext } from './context.ts';

const writers = 8;
const noticeableSkewMs = 60_000;
const wrongSkewMs = 15 * 60_000;

type Answer = Omit<StoreFinding, 'topic'>;
type Probe = readonly [
  topic: string,
  ask: (context: OperationContext, store: ObjectStore, place: string) => Promise<Answer>,
];

const good = (found: string, means: string): Answer => ({ grade: 'good', found, means });
const bad = (found: string, means: string): Answer => ({ grade: 'bad', found, means });

const probes: readonly Probe[] = [
  ['put and get', putAndGet],
  ['list', list],
  ['write once', writeOnce],
  ['two writers', race],
  ['clock', clock],
  ['delete', remove],
];

/** They ask about the object that 'put and get' puts; without it they would find what is not so. */
const probesOfTheObject = new Set(['list', 'delete']);

/** One finding per probe; a store that refuses one is asked the next. */
export async function* probeObjects(
  context: OperationContext,
  store: ObjectStore,
  place: string,
): AsyncGenerator<StoreFinding> {
  let nothingPut = false;
  for (const [topic, ask] of probes) {
    context.signal.throwIfAborted();
    if (nothingPut && probesOfTheObject.has(topic)) continue;
    context.progress.phase(`probing: ${topic}`);
    try {
      yield { topic, ...(await ask(context, store, place)) };
    } catch (error) {
      if (!isEnclaveManagerError(error)) throw error;
      if (topic === 'put and get') nothingPut = await isMissing(store, `${place}object`);
      yield { topic, ...bad(error.message, error.hint) };
    }
  }
}

/** A store that does not say is asked on. */
async function isMissing(store: ObjectStore, key: string): Promise<boolean> {
  try {
    return (await store.head(key)) === undefined;
  } catch (error) {
    if (!isEnclaveManagerError(error)) throw error;
    return false;
  }
}

async function putAndGet({ randomness }: OperationContext, store: ObjectStore, place: string): Promise<Answer> {
  const body = randomness.bytes(65_536);
  await store.put(`${place}object`, body);
  const read = await store.get(`${place}object`, { maxBytes: body.length });
  return read?.equals(body) === true
    ? good('an object comes back as it was put', 'what is stored can be restored')
    : bad('an object does not come back as it was put', 'no backup can be trusted to this store');
}

async function list(_: OperationContext, store: ObjectStore, place: string): Promise<Answer> {
  for await (const { key } of store.list(place)) {
    if (key === `${place}object`) return good('shows at once what was put', 'a backup confirms its chunks by listing');
  }
  return {
    grade: 'notice',
    found: 'does not show yet what was just put',
    means: 'backups ask for such chunks one by one; other hosts see new backups later',
  };
}

async function writeOnce(_: OperationContext, store: ObjectStore, place: string): Promise<Answer> {
  const first = Buffer.from('first');
  await store.put(`${place}once`, first);
  const second = await store.put(`${place}once`, Buffer.from('second'));
  const read = await store.get(`${place}once`, { maxBytes: 100 });
  return second === 'exists' && read?.equals(first) === true
    ? good('a second put of a key changes nothing', 'no backup is overwritten')
    : bad('a second put of a key replaced the first', 'backups can overwrite each other');
}

async function race(_: OperationContext, store: ObjectStore, place: string): Promise<Answer> {
  const bodies = Array.from({ length: writers }, (__, index) => Buffer.from(`writer ${index}`));
  const outcomes = await Promise.all(bodies.map((body) => store.put(`${place}race`, body)));
  const created = outcomes.filter((outcome) => outcome === 'created').length;
  if (created === 1) return good(`of ${writers} at once one created the object`, 'hosts cannot take the same name');
  return {
    grade: 'notice',
    found: `of ${writers} at once ${created} believe that they created the object`,
    means: 'only leases keep two hosts apart: use one database for all managers of this repository',
  };
}

async function clock({ clock: ours }: OperationContext, store: ObjectStore, place: string): Promise<Answer> {
  await store.put(`${place}clock`, Buffer.from('now'));
  const stored = await store.head(`${place}clock`);
  if (stored === undefined)
    return bad('an object is gone right after it was put', 'no backup can be trusted to this store');
  const skewMs = stored.modifiedAt.getTime() - ours.now().getTime();
  const found = `the store is ${Math.abs(Math.round(skewMs / 1000))} s ${skewMs < 0 ? 'behind' : 'ahead of'} this host`;
  if (Math.abs(skewMs) < noticeableSkewMs) return good(found, 'schedules and times of backups are right');
  const means =
    'set the clock of this host (NTP): schedules, times of backups and validity of certificates depend on it';
  return { grade: Math.abs(skewMs) < wrongSkewMs ? 'notice' : 'bad', found, means };
}

async function remove(_: OperationContext, store: ObjectStore, place: string): Promise<Answer> {
  await store.delete(`${place}object`);
  return (await store.get(`${place}object`, { maxBytes: 65_536 })) === undefined
    ? good('an object that was deleted is gone', 'prune can remove what no backup needs')
    : bad('an object that was deleted is still there', 'prune frees nothing');
}
