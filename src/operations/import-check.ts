import type { Manifest } from '#format/manifest.ts';
import type { OpenedKeyring } from '#keys/keyring.ts';

/** What was found about the rows, as the audit log keeps it. */
export interface ImportCheck {
  /** `null`: they were compared; otherwise why not. */
  readonly notCompared: string | null;
  readonly differences: readonly string[];
  /** The fingerprint that a person named; `null` where nobody had to. */
  readonly acceptedFor: string | null;
  /** Where that is older than the newest one this host has seen: that one. */
  readonly clusterKeyGivenUp?: string;
}

/** Under which epochs of the backup a sealed value counts that nothing compared with it: no evicted host knows their keys. */
export const epochsUncompared = (keyring: OpenedKeyring, { summary }: Manifest): number[] =>
  summary.epochs.filter((epoch) => keyring.epochsSinceEviction.includes(epoch));
