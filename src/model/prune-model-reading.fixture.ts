/** Reading back, and what goes bad, in the model of `prune-model.fixture.ts`. */
import {
  type Doc,
  namedBy,
  type Reading,
  type State,
  tickMs,
  type Transition,
  type World,
} from './prune-model-state.fixture.ts';

/** Reads what listed backups name: finds what is damaged, and proves the rest good. */
export const verify = (state: State): Transition => ({
  what: 'somebody reads every listed backup back',
  to: withReading(state, readNow(state), () => true),
});

/** The same in two steps, between which anything may happen. */
export function readsSlowly(state: State, { rules }: World): Transition {
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
export function* decays(state: State): Generator<Transition, void, void> {
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
