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

const graceTicks = 2;
const delayTicks = graceTicks / 2;
const tickMs = productRules.minimumGraceMs / graceTicks;

type Owner = 0 | 1 | 'prune';
type Names = readonly string[];

interface Backup {
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

interface Prune {
  readonly step: 'idle' | 'decide' | 'survey' | 'list-again' | 'delete' | 'waiting';
  readonly next: 'survey' | 'list-again' | 'delete';
  /** What the backups that stay name, by its last look. */
  readonly named: Names;
  readonly doomed: Names;
}

interface Doc {
  readonly objects: Names;
  readonly age: number;
  readonly readGood: Names;
}

/** What somebody who reads backups back has found, not stored yet, and the records that were there when he began. */
interface Reading {
  readonly good: Names;
  readonly bad: Names;
  readonly since: readonly Names[];
  /** Ticks since it began, at most a grace. */
  readonly age: number;
}

interface Flight {
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

interface Transition {
  readonly what: string;
  readonly to: State;
}

const newBackup: Backup = { step: 'begin', age: 0, condemned: [], known: [], present: [], bad: [], names: null };
const idle = { step: 'idle', next: 'survey', named: [], doomed: [] } as const;

/** The objects of one chunk that lie there at the beginning, which of them are damaged, and who names them. */
export function initialState(given: Pick<State, 'objects' | 'damaged' | 'badKnown' | 'listed'>): State {
  const wasGood = given.objects.some((name) => !given.damaged.includes(name));
  const backups = [newBackup, newBackup] as const;
  const nothing = { docs: [], lease: null, prune: idle, flights: [], reading: 'none' as const, decayed: false };
  return { ...given, ...nothing, backups, wasGood };
}

/** A sentence for a state that must not be: a listed backup whose rows were there once and are not now. */
function violation(state: State, world: World): string | undefined {
  const isGood = state.objects.some((name) => !state.damaged.includes(name));
  if (isGood || !state.wasGood) return undefined;
  // Against the assumption only what is reported as done, or stays, counts.
  const counts = ([manifest]: readonly [string, string]): boolean =>
    !world.lateManifests || state.backups.every(({ step }, by) => manifest !== manifestOf(by) || step === 'ended');
  const lost = state.listed.find(counts);
  return lost && `backup ${lost[0]} is listed, and no good object has its rows; it names ${lost[1]}`;
}

function* transitions(state: State, world: World): Generator<Transition, void, void> {
  // Nothing went bad during the reading: a world without decay has shown what follows.
  if (state.reading === 'stored' && !state.decayed) return;
  yield* time(state, world);
  yield* arrivals(state, world);
  yield* backupSteps(state, world, 0);
  if (world.secondBackup) yield* quickBackup(state, world);
  yield* pruneSteps(state, world);
  if (world.decay) {
    yield* decays(state);
    if (state.reading !== 'stored') yield readsSlowly(state, world);
  } else if (state.damaged.length > 0) yield verify(state);
}

/** A tick, unless a request that must take effect by now is still under way. */
function* time(state: State, { lateManifests }: World): Generator<Transition, void, void> {
  const mayWait = ({ kind, delay }: Flight): boolean => (lateManifests ? kind === 'list' : delay < delayTicks);
  if (!state.flights.every(mayWait)) return;
  const older = <T extends { readonly age: number }>(aged: T): T => ({
    ...aged,
    age: Math.min(graceTicks, aged.age + 1),
  });
  const runs = ({ step }: Backup): boolean => ['look', 'store', 'check'].includes(step);
  const [one, two] = state.backups;
  const to = {
    ...state,
    docs: state.docs.map(older),
    reading: typeof state.reading === 'string' ? state.reading : older(state.reading),
    backups: [runs(one) ? older(one) : one, runs(two) ? older(two) : two] as const,
    flights: state.flights.map((flight) => ({ ...flight, delay: Math.min(delayTicks, flight.delay + 1) })),
  };
  yield { what: 'time passes', to };
}

/** Requests take effect in any order, also those of a prune that died. A backup that dies while it waits dies as well after the reply. */
function* arrivals(state: State, { orphans, lateManifests }: World): Generator<Transition, void, void> {
  const deletes = state.prune.step === 'delete' || (state.prune.step === 'waiting' && state.prune.next === 'delete');
  for (const flight of state.flights) {
    if (lateManifests && deletes && flight.kind === 'list') continue;
    const rest = { ...state, flights: state.flights.filter((other) => other !== flight) };
    const what = `${flight.kind} ${flight.what.join('+')}`;
    yield { what: `${what} takes effect`, to: afterReply(effect(rest, flight), flight) };
    if (!orphans || flight.owner !== 'prune' || state.flights.some(({ owner }) => owner === null)) continue;
    const flights = [...rest.flights, { ...flight, owner: null }];
    yield { what: `prune dies while it waits for ${what}`, to: { ...rest, flights, prune: idle } };
  }
}

function effect(state: State, { kind, what }: Flight): State {
  const [first = ''] = what;
  switch (kind) {
    case 'list':
      return { ...state, listed: [...state.listed, [first, what[1]!]] };
    case 'unlist':
      return { ...state, listed: state.listed.filter(([manifest]) => manifest !== first) };
    case 'record':
      return { ...state, docs: [...state.docs, { objects: what, age: 0, readGood: [] }] };
    case 'delete':
      return { ...state, objects: state.objects.filter((name) => !what.includes(name)) };
    case 'forget':
      return { ...state, docs: state.docs.filter(({ objects }) => objects.join() !== what.join()) };
  }
}

function afterReply(state: State, { owner }: Flight): State {
  if (owner === null) return state;
  if (owner === 'prune') return { ...state, prune: { ...state.prune, step: state.prune.next } };
  return setBackup(state, owner, { ...state.backups[owner], step: 'confirm' });
}

const manifestOf = (by: number): string => `m${by}`;
const storedBy = (by: number): string => `x.${by}`;

function setBackup(state: State, by: 0 | 1, backup: Backup): State {
  const [one, two] = state.backups;
  return { ...state, backups: by === 0 ? [backup, two] : [one, backup] };
}

function* backupSteps(state: State, world: World, by: 0 | 1): Generator<Transition, void, void> {
  const backup = state.backups[by];
  const go = (what: string, to: Partial<Backup>, more: Partial<State> = {}): Transition => ({
    what: `backup ${by} ${what}`,
    to: setBackup({ ...state, ...more }, by, { ...backup, ...to }),
  });
  const end = (what: string, more: Partial<State> = {}): Transition =>
    go(what, { ...newBackup, step: 'ended' }, { ...more, lease: state.lease === by ? null : state.lease });
  switch (backup.step) {
    case 'begin':
      return yield go('takes the lease', { step: 'look' }, { lease: by });
    case 'look':
      return yield go('begins to look', { step: 'store', ...readCondemned(state) });
    case 'store':
      return yield storeOrReuse(setBackup(state, by, { ...backup, ...readObjects(state) }), world, by);
    case 'check':
      if (state.lease !== by || !world.rules.mayCommit(backup.age, graceTicks)) yield end('is too late');
      else
        yield go(
          'sends its manifest',
          { step: 'writing' },
          { flights: send(state, 'list', [manifestOf(by), backup.names!], by) },
        );
      if (!world.lateManifests) yield end('dies');
      return;
    case 'confirm':
      yield confirm(state, world, backup, by, end);
      // Against the assumption a backup that died here would stay listed.
      if (!world.lateManifests) yield end('dies after its manifest');
      return;
    case 'writing':
    case 'ended':
  }
}

/** The second backup does in one step what comes before its manifest, or dies after having stored its object. */
function* quickBackup(state: State, world: World): Generator<Transition, void, void> {
  if (state.backups[1].step !== 'begin') return yield* backupSteps(state, world, 1);
  let reached = state;
  while (!['writing', 'ended'].includes(reached.backups[1].step)) {
    const [next] = backupSteps(reached, world, 1);
    reached = next!.to;
    if (reached.backups[1].step === 'check') {
      yield { what: 'backup 1 stores and dies', to: setBackup(reached, 1, { ...newBackup, step: 'ended' }) };
    }
  }
  yield { what: 'backup 1 looks, stores and sends its manifest', to: reached };
}

const readCondemned = (state: State): Partial<Backup> => ({
  condemned: state.docs.flatMap(({ objects }) => objects).toSorted(),
});

const readObjects = (state: State): Partial<Backup> => ({
  known: state.listed.map(([, name]) => name).toSorted(),
  present: state.objects,
  bad: state.badKnown,
});

/** What a listed backup names is taken as it is; what no backup names is opened first. */
function storeOrReuse(state: State, { rules }: World, by: 0 | 1): Transition {
  const go = (what: string, names: string, more: Partial<State> = {}): Transition => ({
    what: `backup ${by} looks, and ${what}`,
    to: setBackup({ ...state, ...more }, by, { ...newBackup, step: 'check', age: state.backups[by].age, names }),
  });
  const { condemned, known, present, bad } = state.backups[by];
  const facts = {
    isCondemned: (name: string) => condemned.includes(name),
    isBad: (name: string) => bad.includes(name),
  };
  const usable = present.filter((name) => rules.mayReuse(name, facts));
  const opens = (name: string): boolean => state.objects.includes(name) && !state.damaged.includes(name);
  const reused = usable.find((name) => known.includes(name)) ?? usable.find(opens);
  if (reused === undefined) {
    const names = storedBy(by);
    const objects = [...state.objects, names].toSorted();
    return go('stores its own object', names, { objects, wasGood: true });
  }
  return go(`takes ${reused}`, reused);
}

function confirm(
  state: State,
  { rules }: World,
  { names }: Backup,
  by: 0 | 1,
  end: (what: string, more?: Partial<State>) => Transition,
): Transition {
  const missing = rules.missingObjects([names!], (name) => state.objects.includes(name));
  if (missing.length === 0) return end('is done');
  return end('takes itself off the list', { listed: state.listed.filter(([manifest]) => manifest !== manifestOf(by)) });
}

const send = (state: State, kind: Flight['kind'], what: Names, owner: Owner): Flight[] => [
  ...state.flights,
  { kind, what, owner, delay: 0 },
];

function* pruneSteps(state: State, world: World): Generator<Transition, void, void> {
  const { prune } = state;
  const go = (what: string, to: Partial<Prune>, more: Partial<State> = {}): Transition => ({
    what: `prune ${what}`,
    to: { ...state, ...more, prune: { ...prune, ...to } },
  });
  const stop = (what: string): Transition =>
    go(what, { ...idle }, { lease: state.lease === 'prune' ? null : state.lease });
  const request = (kind: Flight['kind'], what: Names, next: Prune['next'], to: Partial<Prune> = {}): Transition =>
    state.lease === 'prune'
      ? go(
          `sends ${kind} ${what.join('+')}`,
          { ...to, step: 'waiting', next },
          { flights: send(state, kind, what, 'prune') },
        )
      : stop('has lost the lease');
  if (prune.step !== 'idle' && prune.step !== 'waiting') yield go('dies', idle);
  switch (prune.step) {
    case 'idle':
      return yield go('takes the lease', { step: 'decide' }, { lease: 'prune' });
    case 'decide':
      // Which backups a policy drops, and in which order, does not matter: all of it is tried, one a run.
      yield go('drops nothing', { step: 'survey', named: namedBy(state) });
      for (const [dropped] of state.listed)
        yield request('unlist', [dropped], 'survey', { named: namedBy(state, dropped) });
      return;
    case 'survey':
      return yield survey(state, world, go, request);
    case 'list-again':
      return yield listAgain(state, world, go);
    case 'delete':
      return yield* deleteNext(state, world, request, stop);
    case 'waiting':
  }
}

const namedBy = ({ listed }: State, but?: string): string[] =>
  listed
    .filter(([manifest]) => manifest !== but)
    .map(([, name]) => name)
    .toSorted();

const keptBy = (named: Names) => ({
  isNamed: (name: string) => named.includes(name),
  namedFor: (id: string) => named.filter((name) => productRules.chunkIdOf(name) === id),
});

type Send = (kind: Flight['kind'], what: Names, next: Prune['next'], to?: Partial<Prune>) => Transition;
type Go<T> = (what: string, to: Partial<T>, more?: Partial<State>) => Transition;

function survey(state: State, { rules }: World, go: Go<Prune>, request: Send): Transition {
  const condemned = state.docs.flatMap(({ objects }) => objects);
  const kept = keptBy(state.prune.named);
  const unreferenced = state.objects.filter((name) =>
    rules.mayCondemn(name, kept, (other) => condemned.includes(other)),
  );
  const named = rules.listsAgain ? [] : state.prune.named;
  if (unreferenced.length === 0) return go('finds nothing to record', { step: 'list-again', named });
  return request('record', unreferenced, 'list-again', { named });
}

/** Its own record was stored a moment ago: ages count up to then, which is now or earlier. */
function listAgain(state: State, { rules }: World, go: Go<Prune>): Transition {
  const named = rules.listsAgain ? namedBy(state) : state.prune.named;
  const old = state.docs.filter(({ age }) => rules.graceIsOver(0, age, graceTicks));
  const past = old.flatMap(({ objects }) => objects);
  const youngFor = (id: string): Names =>
    state.objects.filter((name) => !past.includes(name) && productRules.chunkIdOf(name) === id);
  const doomed = old.flatMap(({ objects, readGood }) =>
    objects.filter(
      (name) =>
        state.objects.includes(name) &&
        rules.mayDelete(name, {
          kept: keptBy(named),
          youngFor,
          wasReadGoodSince: (other) => readGood.includes(other) && !state.badKnown.includes(other),
        }),
    ),
  );
  return go('lists backups again', { step: 'delete', named: [], doomed: [...new Set(doomed)].toSorted() });
}

function* deleteNext(
  state: State,
  { rules }: World,
  request: Send,
  stop: (what: string) => Transition,
): Generator<Transition, void, void> {
  const [object, ...rest] = state.prune.doomed;
  if (object !== undefined) {
    return yield request('delete', [object], 'delete', { doomed: rest });
  }
  const forgettable = state.docs.find(({ objects }) =>
    rules.mayForgetCondemned(objects, (name) => state.objects.includes(name)),
  );
  if (forgettable === undefined) yield stop('is done');
  else yield request('forget', forgettable.objects, 'delete');
}

/** Reads what listed backups name: finds what is damaged, and proves the rest good. */
const verify = (state: State): Transition => ({
  what: 'somebody reads every listed backup back',
  to: withReading(state, readNow(state), () => true),
});

/** The same in two steps, between which anything may happen. */
function readsSlowly(state: State, { rules }: World): Transition {
  if (typeof state.reading === 'string')
    return { what: 'somebody begins to read', to: { ...state, reading: readNow(state) } };
  const { reading } = state;
  const readingMs = reading.age * tickMs;
  const counts = ({ age }: Doc): boolean => rules.wasReadSince({ storedAtMs: 0, readingMs }, -age * tickMs);
  return { what: 'somebody stores what he read', to: { ...withReading(state, reading, counts), reading: 'stored' } };
}

function readNow(state: State): Reading {
  const named = namedBy(state);
  return {
    bad: named.filter((name) => state.damaged.includes(name)),
    good: named.filter((name) => state.objects.includes(name) && !state.damaged.includes(name)),
    since: state.docs.map(({ objects }) => objects),
    age: 0,
  };
}

const withReading = (state: State, { good, bad }: Reading, counts: (doc: Doc) => boolean): State => ({
  ...state,
  badKnown: [...new Set([...state.badKnown, ...bad])].toSorted(),
  docs: state.docs.map((doc) =>
    counts(doc) ? { ...doc, readGood: [...new Set([...doc.readGood, ...good])].toSorted() } : doc,
  ),
});

/**
 * An object goes bad, once, after a reading has passed it, while another with its rows is good and nobody has judged it yet.
 * What was found good since the other was condemned stands alone from then on: no rule brings back the only copy.
 */
function* decays(state: State): Generator<Transition, void, void> {
  const isJudged = state.prune.doomed.length > 0 || state.flights.some(({ kind }) => kind === 'delete');
  const { reading } = state;
  if (state.decayed || isJudged || typeof reading === 'string') return;
  const isGood = (name: string): boolean => state.objects.includes(name) && !state.damaged.includes(name);
  for (const name of state.objects.filter(isGood)) {
    const hasTwin = state.objects.some((other) => other !== name && isGood(other));
    const readSince = reading.since.length > 0 && reading.good.includes(name);
    if (!hasTwin || readSince || state.docs.some(({ readGood }) => readGood.includes(name))) continue;
    yield { what: `${name} goes bad`, to: { ...state, decayed: true, damaged: [...state.damaged, name].toSorted() } };
  }
}

interface Exploration {
  readonly states: number;
  /** What happened, step by step, where a state that must not be was reached. */
  readonly violation: readonly string[] | undefined;
}

/** Visits every state that can be reached, the nearest first, up to the first that must not be. */
export function explore(beginnings: readonly State[], world: World): Exploration {
  const cameFrom = new Map<string, readonly [string, string] | undefined>();
  const queue: { readonly key: string; readonly state: State }[] = [];
  const visit = (state: State, from?: readonly [string, string]): void => {
    const key = JSON.stringify(state);
    if (cameFrom.has(key)) return;
    cameFrom.set(key, from);
    queue.push({ key, state });
  };
  for (const state of beginnings) visit(state);
  for (let index = 0; index < queue.length; index += 1) {
    const { key, state } = queue[index]!;
    const problem = violation(state, world);
    if (problem !== undefined) return { states: cameFrom.size, violation: [...pathTo(key, cameFrom), problem] };
    for (const { what, to } of transitions(state, world)) visit(to, [key, what]);
  }
  return { states: cameFrom.size, violation: undefined };
}

function pathTo(key: string, cameFrom: ReadonlyMap<string, readonly [string, string] | undefined>): string[] {
  const path: string[] = [];
  for (let step = cameFrom.get(key); step !== undefined; step = cameFrom.get(step[0])) path.push(step[1]);
  return path.toReversed();
}
