/**
 * Positions of a longest series of values that does not go down; `undefined` values are in none. Where there are
 * several of one length, the one with the lowest values at its end (patience sorting, n log n).
 */
export function inOrder(values: readonly (number | undefined)[]): ReadonlySet<number> {
  /** For each length, the position of the lowest value that ends a series of that length. */
  const ends: number[] = [];
  const before = new Map<number, number | undefined>();
  for (const [position, value] of values.entries()) {
    if (value === undefined) continue;
    const length = firstAbove(ends, values, value);
    before.set(position, ends[length - 1]);
    ends[length] = position;
  }
  const found = new Set<number>();
  for (let position = ends.at(-1); position !== undefined; position = before.get(position)) found.add(position);
  return found;
}

/** Index of the first end whose value is above `value`. */
function firstAbove(ends: readonly number[], values: readonly (number | undefined)[], value: number): number {
  let low = 0;
  let high = ends.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (values[ends[middle]!]! > value) high = middle;
    else low = middle + 1;
  }
  return low;
}
