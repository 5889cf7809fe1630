/** Documents of the cluster that `keyring/` does not hold; paths. */
export interface KeyringGaps {
  readonly missing: readonly string[];
  /** Something else lies in their place. */
  readonly replaced: readonly string[];
}

export const noKeyringGaps: KeyringGaps = { missing: [], replaced: [] };

/** A message and the way out for each kind, without a period at the end of the message. */
export function describeKeyringGaps({ missing, replaced }: KeyringGaps) {
  const described: { readonly message: string; readonly hint: string }[] = [];
  const withoutDatabase = 'A host without the database has only the copies in backups.';
  if (missing.length > 0) {
    const hint = `${withoutDatabase} The next backup puts it back: backup create.`;
    described.push({ message: `${firstOf(missing)} missing in the repository`, hint });
  }
  if (replaced.length > 0) {
    const hint = `${withoutDatabase} Move away what lies there and keep it as evidence; the next backup puts the right one back: backup create.`;
    described.push({ message: `${firstOf(replaced)} not what the cluster signed`, hint });
  }
  return described;
}

const firstOf = ([first, ...others]: readonly string[]): string =>
  others.length === 0 ? `${first} is` : `${first} and ${others.length} more keyring documents are`;
