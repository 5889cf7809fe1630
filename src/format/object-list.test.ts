import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { explainedObjectList, maxObjects } from './manifest-schema.ts';
import { readObjectList } from './object-list.ts';

const hex = (length: number) =>
  fc.string({ unit: fc.constantFrom(...'0123456789abcdef'.split('')), minLength: length, maxLength: length });
const name = fc.tuple(hex(64), hex(16)).map(([id, object]) => `${id}.${object}`);
const reference = fc.record({ name, sizeBytes: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }), sha256: hex(64) });
const list = fc
  .uniqueArray(reference, { selector: (each) => each.name, maxLength: 5 })
  .map((references) => references.toSorted((a, b) => (a.name < b.name ? -1 : 1)));

/** A good list, and the same with one thing replaced by something else. */
const goodAndSpoilt = fc
  .tuple(
    list.filter(({ length }) => length > 0),
    fc.nat(),
    fc.oneof(
      fc.record({ member: fc.constantFrom('name', 'sizeBytes', 'sha256', 'other'), value: fc.jsonValue() }),
      fc.record({
        member: fc.constant('name'),
        value: fc.oneof(
          hex(81),
          name,
          name.map((text) => text.toUpperCase()),
        ),
      }),
      fc.record({
        member: fc.constant('sha256'),
        value: fc.oneof(
          hex(63),
          hex(65),
          hex(64).map((text) => `${text.slice(1)}g`),
        ),
      }),
      fc.record({ member: fc.constant('sizeBytes'), value: fc.constantFrom(0, -1, 0.5, 2 ** 53, '1', null) }),
    ),
  )
  .map(([good, at, { member, value }]) => ({
    good,
    spoilt: good.map((each, index) => (index === at % good.length ? { ...each, [member]: value } : each)),
  }));
const spoilt = goodAndSpoilt.map((lists) => lists.spoilt);

/** What the schema makes of it. */
const explained = (value: unknown) => explainedObjectList.safeParse(value).data;

describe('the object list of a manifest', () => {
  it('is taken by hand exactly where the schema takes it, and as the same', () => {
    let [taken, refused] = [0, 0];
    const anything = fc.oneof(
      list,
      spoilt,
      spoilt,
      list.map((good) => good.toReversed()),
      fc.jsonValue(),
    );
    fc.assert(
      fc.property(anything, (value) => {
        const read = readObjectList(value, maxObjects);
        expect(read).toEqual(explained(value));
        if (read === undefined) refused += 1;
        else taken += 1;
      }),
      { numRuns: 2000 },
    );
    expect(Math.min(taken, refused)).toBeGreaterThan(200);
  });

  it('is judged no otherwise after a list that is nearly the same, of which it takes what is', () => {
    let [taken, refused, shared] = [0, 0, 0];
    fc.assert(
      fc.property(goodAndSpoilt, ({ good, spoilt: value }) => {
        const before = new Map(readObjectList(good, maxObjects)!.map((each) => [each.name, each]));
        const read = readObjectList(value, maxObjects, before);
        expect(read).toEqual(explained(value));
        if (read === undefined) refused += 1;
        else taken += 1;
        shared += (read ?? []).filter((each) => before.get(each.name) === each).length;
      }),
      { numRuns: 1000 },
    );
    expect(Math.min(taken, refused, shared)).toBeGreaterThan(50);
  });

  it('is not taken when it is longer than it may be', () => {
    const [one] = fc.sample(reference, 1);
    expect(readObjectList([one], 1)).toHaveLength(1);
    expect(readObjectList([one], 0)).toBeUndefined();
  });
});
