/** The steps of a backup in the model of `prune-model.fixture.ts`. */
import {
  type Backup,
  graceTicks,
  manifestOf,
  newBackup,
  send,
  type State,
  type Transition,
  type World,
} from './prune-model-state.fixture.ts';

const storedBy = (by: number): string => `x.${by}`;

export function setBackup(state: State, by: 0 | 1, backup: Backup): State {
  const [one, two] = state.backups;
  return { ...state, backups: by === 0 ? [backup, two] : [one, backup] };
}

export function* backupSteps(state: State, world: World, by: 0 | 1): Generator<Transition, void, void> {
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
export function* quickBackup(state: State, world: World): Generator<Transition, void, void> {
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
