import type { Row } from '../result.ts';
import type { Rounds } from '../rounds.ts';

/** Everything that the page tells of one run. */
export interface RunReport {
  readonly at: string;
  readonly machine: Readonly<Record<string, string>>;
  readonly server: Readonly<Record<string, string>>;
  readonly peers: Readonly<Record<string, string>>;
  readonly missing: readonly string[];
  /** COPY text, as backups count it. */
  readonly logicalBytes: number;
  readonly storedBytes: number;
  readonly dataRows: number;
  readonly roundCount: number;
  readonly rounds: Rounds;
  readonly rows: readonly Row[];
}
