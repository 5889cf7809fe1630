import type { BenchServer } from '../server.ts';
import type { Programs } from './programs.ts';

/** What every peer is given. */
export interface Peer {
  readonly programs: Programs['found'];
  readonly server: BenchServer;
  /** For what it keeps between jobs. */
  readonly directory: string;
}

/** One word of the shell. */
export const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;
