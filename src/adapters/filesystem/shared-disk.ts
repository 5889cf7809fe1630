import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';

export interface Place {
  readonly name: string;
  readonly path: string;
}

/** Names of the largest group of places on one file system, in the given order; fewer than two: every place is alone. */
export async function findSharedDisk(places: readonly Place[]): Promise<string[]> {
  const devices = await Promise.all(places.map(async ({ path }) => await deviceOf(path)));
  const groups = Map.groupBy(places.entries(), ([index]) => devices[index]);
  const largest = [...groups.values()].toSorted((a, b) => b.length - a.length)[0] ?? [];
  return largest.length < 2 ? [] : largest.map(([, { name }]) => name);
}

/** The device of the path, or of its nearest ancestor that is there. */
async function deviceOf(path: string): Promise<bigint> {
  try {
    return (await stat(path, { bigint: true })).dev;
  } catch (error) {
    const parent = dirname(path);
    if (parent === path) throw error;
    return await deviceOf(parent);
  }
}
