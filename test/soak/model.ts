import type { State } from './state.ts';

export interface ModelBackup {
  readonly id: string;
  readonly kind: string;
  readonly sequence: number;
  /** The states of the database that it may hold: more than one where somebody wrote beside it. */
  readonly states: readonly State[];
  /** Epochs whose keys open it. */
  readonly epochs: readonly number[];
}

/** What must be true, kept beside the program and never told by it. */
export interface Model {
  /** The live database; `undefined` after it was destroyed. */
  live: State | undefined;
  /** By id: everything that was listed, and not pruned since. */
  readonly backups: Map<string, ModelBackup>;
  /** Databases that restores replaced → what they held. */
  readonly replaced: Map<string, State>;
  /** Of these the ones that a killed rollback or cleanup may have used up: the server may still be about it. */
  readonly doomed: Set<string>;
  /** Chunks that a verification found lost. No backup that needs one may be shown as verified. */
  readonly foundLost: Set<string>;
  /** Backups that somebody gave up when the keys changed: their manifests lie there and are none. */
  readonly disowned: Set<string>;
  clusterKey: string | undefined;
}

export const newModel = (): Model => ({
  live: undefined,
  backups: new Map(),
  replaced: new Map(),
  doomed: new Set(),
  foundLost: new Set(),
  disowned: new Set(),
  clusterKey: undefined,
});
