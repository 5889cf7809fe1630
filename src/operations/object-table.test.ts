import { describe, expect, it } from 'vitest';
import { ObjectTable } from './object-table.ts';

const id = (digit: string): string => digit.repeat(64);
const reference = (digit: string, sizeBytes = 7, sha256 = id('e')) => ({
  name: `${id(digit)}.${digit.repeat(16)}`,
  sizeBytes,
  sha256,
});
const [a, b, c] = [reference('a'), reference('b', 2 ** 53 - 1), reference('c')];

describe('a table of objects', () => {
  it('has each object once, and gives the same reference for it', () => {
    const table = new ObjectTable();
    const places = table.places([a, b, { ...a }, c]);
    expect([...places]).toEqual([0, 1, 0, 2]);
    expect(table.length).toBe(3);
    expect(table.references(places)).toEqual([a, b, a, c]);
    expect(table.reference(0)).toBe(table.get(a.name));
    expect(table.names(table.placesOfNames([c.name, b.name]))).toEqual([c.name, b.name]);
    expect(table.length).toBe(3);
  });

  it('tells objects of one name apart that are said to differ, and still that it is one name', () => {
    const table = new ObjectTable();
    const [larger, other] = [reference('a', 8), reference('a', 7, id('d'))];
    const places = table.places([a, larger, b, other, larger]);
    expect([...places]).toEqual([0, 1, 2, 3, 1]);
    expect([...table.numbersOfNames(places)]).toEqual([0, 0, 2, 0, 0]);
    expect(table.references(places)).toEqual([a, larger, b, other, larger]);
  });

  it('takes no name that a verification alone has mentioned for an object that a manifest describes', () => {
    const table = new ObjectTable();
    expect([...table.placesOfNames([a.name])]).toEqual([0]);
    expect(table.get(a.name)).toBeUndefined();
    expect([...table.places([a])]).toEqual([1]);
    expect([...table.numbersOfNames(Uint32Array.of(0, 1))]).toEqual([0, 0]);
    expect(table.reference(1)).toEqual(a);
  });

  it('is read from its entries as it was written, as far as those were asked for', () => {
    const table = new ObjectTable();
    const larger = reference('a', 8);
    table.places([a, b, larger, c]);
    const part = new ObjectTable(table.entriesOf([3, 2, 0]));
    expect(part.references(Uint32Array.of(0, 1, 2))).toEqual([c, larger, a]);
    expect([...part.numbersOfNames(Uint32Array.of(0, 1, 2))]).toEqual([0, 1, 1]);
    expect(part.get(b.name)).toBeUndefined();
    expect([...part.places([larger, a, b, c])]).toEqual([1, 2, 3, 0]);
  });

  it('grows with what is added to it', () => {
    const table = new ObjectTable();
    const many = Array.from({ length: 5000 }, (_, index) => ({
      ...a,
      name: `${index.toString(16).padStart(64, '0')}.${'0'.repeat(16)}`,
      sizeBytes: index + 1,
    }));
    const read = new ObjectTable(table.entriesOf([...table.places(many)]));
    expect(read.references(Uint32Array.from(many.keys()))).toEqual(many);
  });
});
