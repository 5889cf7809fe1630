import type { ObjectStore } from './object-store.ts';

/** One thing that was looked at. */
export interface StoreFinding {
  /** Two or three words: `object lock`. */
  readonly topic: string;
  /** `notice`: works, and should be known; `bad`: backups are not safe, or do not work. */
  readonly grade: 'good' | 'notice' | 'bad';
  /** What was seen. */
  readonly found: string;
  /** What that means for backups. */
  readonly means: string;
}

/** Asks one kind of store what only that kind can be asked. Findings are given, not thrown, as far as the store answers at all. */
export interface StoreExaminer {
  /** The store as probes use it: what they put is not locked. */
  readonly store: ObjectStore;
  /** Why what a probe puts would stay there for ever; `undefined` where it can be removed again. */
  whyProbesWouldStay(): Promise<string | undefined>;
  /** Puts nothing. */
  look(): AsyncIterable<StoreFinding>;
  /** Puts objects whose keys begin with `place`. */
  probe(place: string): AsyncIterable<StoreFinding>;
  /** Removes every object that begins with `place`, with all its versions; resolves with those that stay. */
  sweep(place: string): Promise<readonly string[]>;
  close(): Promise<void>;
}
