import { describe, expect, it } from 'vitest';
import { ratios, rotated, spread } from './statistics.ts';

describe('spread', () => {
  it('finds the median of an odd and of an even number of values, in any order', () => {
    expect(spread([3, 1, 2])).toEqual({ minimum: 1, median: 2, maximum: 3 });
    expect(spread([10, 1, 2, 3])).toEqual({ minimum: 1, median: 2.5, maximum: 10 });
  });

  it('refuses no values', () => {
    expect(() => spread([])).toThrow('no values');
  });
});

describe('ratios', () => {
  it('compares within each round', () => {
    expect(ratios([2, 30, 4], [1, 10, 4])).toEqual({ minimum: 1, median: 2, maximum: 3 });
  });

  it('refuses rounds that are not the same number', () => {
    expect(() => ratios([1, 2], [1])).toThrow('cannot be compared');
  });
});

describe('rotated', () => {
  it('begins each round one further on', () => {
    expect([0, 1, 2, 3].map((round) => rotated(['a', 'b', 'c'], round).join(''))).toEqual(['abc', 'bca', 'cab', 'abc']);
    expect(rotated([], 5)).toEqual([]);
  });
});
