export interface Spread {
  readonly minimum: number;
  readonly median: number;
  readonly maximum: number;
}

/** Throws for no values at all. */
export function spread(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  if (sorted.length === 0) throw new RangeError('there is no median of no values');
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
  return { minimum: sorted[0]!, median, maximum: sorted.at(-1)! };
}

/** Ratios within each round, so that what slowed a whole round slowed both. */
export function ratios(values: readonly number[], against: readonly number[]): Spread {
  if (values.length !== against.length)
    throw new RangeError(`${values.length} rounds cannot be compared with ${against.length}`);
  return spread(values.map((value, round) => value / against[round]!));
}

/** The same items, begun one further on in each round, so that none always runs after the same other. */
export function rotated<T>(items: readonly T[], round: number): T[] {
  const by = items.length === 0 ? 0 : round % items.length;
  return [...items.slice(by), ...items.slice(0, by)];
}
