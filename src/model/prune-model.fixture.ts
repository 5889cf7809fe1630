/**
 * Visits every state of the model that any interleaving of backups and prune reaches; what it is made of stands in
 * `prune-model-state.fixture.ts`.
 */
import { backupSteps, quickBackup, setBackup } from './prune-model-backup.fixture.ts';
import { pruneSteps } from './prune-model-prune.fixture.ts';
import { decays, readsSlowly, verify } from './prune-model-reading.fixture.ts';
import {
  type Backup,
  delayTicks,
  type Flight,
  graceTicks,
  idle,
  manifestOf,
  type State,
  type Transition,
  type World,
} from './prune-model-state.fixture.ts';

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
