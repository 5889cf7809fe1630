import { describe, expect, it } from 'vitest';
import { explore } from './prune-model.fixture.ts';
import { initialState, rulesOfTheProduct, type Rules, type State } from './prune-model-state.fixture.ts';

const one = { objects: ['x.first'], damaged: [], badKnown: [] };
const two = { objects: ['x.first', 'x.twin'], damaged: ['x.first'] };

/** What lies there when the exploration begins. */
const beginnings: Readonly<Record<string, State>> = {
  'an object that an interrupted backup left': initialState({ ...one, listed: [] }),
  'an object that a backup names': initialState({ ...one, listed: [['m', 'x.first']] }),
  'a damaged object that a backup names, and a good one beside it': initialState({
    ...two,
    badKnown: [],
    listed: [['m', 'x.first']],
  }),
  'a chunk that was healed': initialState({
    ...two,
    badKnown: ['x.first'],
    listed: [
      ['m', 'x.first'],
      ['n', 'x.twin'],
    ],
  }),
  'an object that a backup names, and another that an interrupted one left': initialState({
    ...two,
    damaged: [],
    badKnown: [],
    listed: [['m', 'x.first']],
  }),
};

const oneBackup = { lateManifests: false, secondBackup: false, orphans: true, decay: false };
const twoBackups = { ...oneBackup, secondBackup: true, orphans: false };
const decaying = { ...oneBackup, orphans: false, decay: true };

const names = Object.keys(beginnings);

describe('backups and prune at the same time never list a backup that misses an object', () => {
  it.each([
    ...names.slice(0, 2).map((name) => [name, 'one backup and a prune that dies anywhere', oneBackup] as const),
    ...names.slice(2, 4).map((name) => [name, 'one backup and a prune', { ...oneBackup, orphans: false }] as const),
    ...names.slice(0, 2).map((name) => [name, 'two backups and a prune', twoBackups] as const),
    ...[names[0]!, names[4]!].map(
      (name) => [name, 'one backup and a prune while an object goes bad', decaying] as const,
    ),
  ])(
    'beginning with %s: %s',
    (name, _, world) => {
      const { violation, states } = explore([beginnings[name]!], { ...world, rules: rulesOfTheProduct });
      expect(violation).toBeUndefined();
      expect(states).toBeGreaterThan(10_000);
    },
    900_000,
  );
});

describe('every rule is needed: without it a listed backup misses an object', () => {
  const [stray, named, twin] = names as [string, string, string, string];
  const weakened: readonly (readonly [rule: string, beginning: string, without: Partial<Rules>])[] = [
    ['a backup that is older than half the grace does not commit', stray, { mayCommit: () => true }],
    ['a backup takes what is condemned for absent', stray, { mayReuse: (name, { isBad }) => !isBad(name) }],
    ['an object goes by its id and not by its name', twin, { mayDelete: (name, { kept }) => !kept.isNamed(name) }],
    [
      'an object stays while another with its rows may be named by a backup under way',
      twin,
      { mayDelete: (name, facts) => rulesOfTheProduct.mayDelete(name, { ...facts, youngFor: () => [] }) },
    ],
    ['what is condemned waits for a grace', stray, { graceIsOver: () => true }],
    ['backups are listed again before anything is deleted', named, { listsAgain: false }],
  ];

  it.each(weakened)('%s', (_, beginning, without) => {
    const world = { ...oneBackup, orphans: false, rules: { ...rulesOfTheProduct, ...without } };
    const { violation } = explore([beginnings[beginning]!], world);
    expect(violation?.at(-1)).toMatch(/is listed, and no good object has its rows/);
  });

  it('what was read before an object was condemned says nothing of the time after', () => {
    const beginning = [beginnings[names[4]!]!];
    const rules = { ...rulesOfTheProduct, wasReadSince: () => true };
    expect(explore(beginning, { ...decaying, rules }).violation?.at(-1)).toMatch(/is listed, and no good object/);
  });

  it('a backup looks once more after its manifest, should that arrive later than anybody assumed', () => {
    const late = { ...oneBackup, lateManifests: true, orphans: false };
    const beginning = [beginnings['an object that an interrupted backup left']!];
    expect(explore(beginning, { ...late, rules: rulesOfTheProduct }).violation).toBeUndefined();
    const rules = { ...rulesOfTheProduct, missingObjects: () => [] };
    expect(explore(beginning, { ...late, rules }).violation?.at(-1)).toMatch(/is listed, and no good object/);
  });
});
