import type { ObjectStore } from '#ports/object-store.ts';
import type { OperationContext } from './context.ts';

export interface Speed {
  /** Of a small object, one after another: the median. */
  readonly putMs: number;
  readonly getMs: number;
  /** Of objects of the size of chunks, several at once. */
  readonly uploadBytesPerSecond: number;
  readonly downloadBytesPerSecond: number;
}

const rounds = 5;
const atOnce = 4;
const objectBytes = 1024 * 1024;

/** Measures with 4 MiB in all: enough to see whether a restore takes minutes or days. */
export async function measureSpeed(
  { clock, randomness, progress }: OperationContext,
  store: ObjectStore,
  place: string,
): Promise<Speed> {
  progress.phase('measuring');
  const timeOf = async (work: () => Promise<unknown>): Promise<number> => {
    const begunMs = clock.monotonicMs();
    await work();
    return clock.monotonicMs() - begunMs;
  };
  const puts: number[] = [];
  const gets: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    puts.push(await timeOf(() => store.put(`${place}small-${round}`, randomness.bytes(100))));
    gets.push(await timeOf(() => store.get(`${place}small-${round}`, { maxBytes: 100 })));
  }
  const keys = Array.from({ length: atOnce }, (_, index) => `${place}large-${index}`);
  const upMs = await timeOf(() => Promise.all(keys.map((key) => store.put(key, randomness.bytes(objectBytes)))));
  const downMs = await timeOf(() => Promise.all(keys.map((key) => store.get(key, { maxBytes: objectBytes }))));
  const perSecond = (ms: number): number => Math.round((atOnce * objectBytes * 1000) / Math.max(ms, 1));
  return {
    putMs: median(puts),
    getMs: median(gets),
    uploadBytesPerSecond: perSecond(upMs),
    downloadBytesPerSecond: perSecond(downMs),
  };
}

const median = (values: readonly number[]): number =>
  Math.round(values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0);
