/** Under which epochs of a backup a sealed value counts that nothing compared with it: no evicted host knows their keys. */
export const epochsUncompared = (
  { epochsSinceEviction }: { readonly epochsSinceEviction: readonly number[] },
  { summary }: { readonly summary: { readonly epochs: readonly number[] } },
): number[] => summary.epochs.filter((epoch) => epochsSinceEviction.includes(epoch));
