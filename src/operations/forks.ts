import type { Catalog } from './read-catalog.ts';

/** Neighbours in the catalogue, which is in order of sequence, that have the same one; each a sentence. */
export function describeForks(catalog: Catalog): string[] {
  const authentic = catalog.backups.map(({ entry }) => entry).filter((entry) => entry.authentic === true);
  return authentic.flatMap((entry, index) => {
    const next = authentic[index + 1];
    return next?.sequence === entry.sequence
      ? [`backups ${entry.id} and ${next.id} both have sequence ${entry.sequence}`]
      : [];
  });
}
