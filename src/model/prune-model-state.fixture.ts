/**
 * Backups and prune on one repository as a state machine, small enough to visit every state that any interleaving
 * reaches. It decides by the product's own rules (`prune-rules.ts`) and looks at one chunk id: its objects, the backups
 * that name one of them, the records of prune, the lease, and the requests that are under way.
 *
 * Time goes in ticks; a grace is two, so that half of it is one. Any actor may stand still for any time, because every
 * order of steps is tried, and anybody may take the lease over from anybody. An actor that died may have left a request
 * under way, which takes effect within half a grace of its lease check, or never.
 */
import * as productRules from './prune-rules.ts';

export const rulesOfTheProduct = {
  ...productRules,
  /** Prune lists the backups again before it decides what to delete. */
  listsAgain: true,
};

export type Rules = typeof rulesOfTheProduct;

export interface World {
  readonly rules: Rules;
  /** A manifest may take effect at any time after its lease check, against the assumption; prune works without pause. */
  readonly lateManifests: boolean;
  /** Whether there is a second backup. */
  readonly secondBackup: boolean;
  /** Whether a prune may die while a request of it is under way. */
  readonly orphans: boolean;
  /** Whether an object may go bad while a good one with its rows lies there, and reading takes its time. */
  readonly decay: boolean;
}

export const graceTicks = 2;
export const delayTicks = graceTicks / 2;
export const tickMs = productRules.minimumGraceMs / graceTicks;

export type Owner = 0 | 1 | 'prune';
export type Names = readonly string[];

export interface Backup {
  readonly step: 'begin' | 'look' | 'store' | 'check' | 'writing' | 'confirm' | 'ended';
  /** Ticks since it began to look, at most a grace. */
  readonly age: number;
  readonly condemned: Names;
  /** What listed backups named, what lay there, and what was known to be bad, when it looked. */
  readonly known: Names;
  readonly present: Names;
  readonly bad: Names;
  readonly names: string | null;
}

export interface Prune {
  readonly step: 'idle' | 'decide' | 'survey' | 'list-again' | 'delete' | 'waiting';
  readonly next: 'survey' | 'list-again' | 'delete';
  /** What the backups that stay name, by its last look. */
  readonly named: Names;
  readonly doomed: Names;
}

export interface Doc {
  readonly objects: Names;
  readonly age: number;
  readonly readGood: Names;
}

/** What somebody who reads backups back has found, not stored yet, and the records that were there when he began. */
export interface Reading {
  readonly good: Names;
  readonly bad: Names;
  readonly since: readonly Names[];
  /** Ticks since it began, at most a grace. */
  readonly age: number;
}

export interface Flight {
  readonly kind: 'list' | 'unlist' | 'record' | 'delete' | 'forget';
  /** Manifest, object, or the objects of a record. */
  readonly what: Names;
  readonly owner: Owner | null;
  readonly delay: number;
}

export interface State {
  readonly objects: Names;
  readonly damaged: Names;
  readonly badKnown: Names;
  /** Pairs of manifest and the object that it names. */
  readonly listed: readonly (readonly [string, string])[];
  readonly docs: readonly Doc[];
  readonly lease: Owner | null;
  readonly backups: readonly [Backup, Backup];
  readonly prune: Prune;
  readonly flights: readonly Flight[];
  /** One that takes its time; there is no more than one. */
  readonly reading: Reading | 'none' | 'stored';
  readonly decayed: boolean;
  /** What was never there cannot be lost. */
  readonly wasGood: boolean;
}

export interface Transition {
  readonly what: string;
  readonly to: State;
}

export const newBackup: Backup = { step: 'begin', age: 0, condemned: [], known: [], present: [], bad: [], names: null };
export const idle = { step: 'idle', next: 'survey', named: [], doomed: [] } as const;

/** The objects of one chunk that lie there at the beginning, which of them are damaged, and who names them. */
export function initialState(given: Pick<State, 'objects' | 'damaged' | 'badKnown' | 'listed'>): State {
  const wasGood = given.objects.some((name) => !given.damaged.includes(name));
  const backups = [newBackup, newBackup] as const;
  const nothing = { docs: [], lease: null, prune: idle, flights: [], reading: 'none' as const, decayed: false };
  return { ...given, ...nothing, backups, wasGood };
}

export const manifestOf = (by: number): string => `m${by}`;

export const namedBy = ({ listed }: State, but?: string): string[] =>
  listed
    .filter(([manifest]) => manifest !== but)
    .map(([, name]) => name)
    .toSorted();

export const send = (state: State, kind: Flight['kind'], what: Names, owner: Owner): Flight[] => [
  ...state.flights,
  { kind, what, owner, delay: 0 },
];

export type Go<T> = (what: string, to: Partial<T>, more?: Partial<State>) => Transition;
