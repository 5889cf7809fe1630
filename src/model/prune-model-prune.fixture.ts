/** The steps of a prune in the model of `prune-model.fixture.ts`. */
import {
  type Flight,
  type Go,
  graceTicks,
  idle,
  namedBy,
  type Names,
  type Prune,
  send,
  type State,
  type Transition,
  type World,
} from './prune-model-state.fixture.ts';
import * as productRules from './prune-rules.ts';

export function* pruneSteps(state: State, world: World): Generator<Transition, void, void> {
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

const keptBy = (named: Names) => ({
  isNamed: (name: string) => named.includes(name),
  namedFor: (id: string) => named.filter((name) => productRules.chunkIdOf(name) === id),
});

type Send = (kind: Flight['kind'], what: Names, next: Prune['next'], to?: Partial<Prune>) => Transition;

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
