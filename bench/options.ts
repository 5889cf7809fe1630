import { parseArgs } from 'node:util';

export interface Options {
  readonly help: boolean;
  readonly small: boolean;
  readonly memory: boolean;
  readonly rounds: number;
  /** 1 is about 2 GB of COPY text. */
  readonly scale: number;
  /** Where everything is put; a temporary directory, removed at the end, unless named. */
  readonly directory: string | undefined;
  readonly only: readonly string[];
}

export const help = `Usage: npm run bench -- [options]

Measures backup and restore against pg_dump, pg_restore and others on one database, in
rounds, and writes docs/performance.md and docs/performance.svg.

  --small              a database of 100 MB, three rounds: about a minute; writes nothing
  --rounds <number>    rounds of each measurement; 5
  --scale <number>     1 is a database of 2 GB
  --memory             also the memory it takes to back up 0.1, 1, 4 and 8 GB
  --directory <path>   where the data goes; a temporary directory, which is removed
  --only <names>       only these steps, with semicolons; writes nothing
  --help

pg_dump, pg_restore and psql of PostgreSQL 18, zstd, age and restic are used where they
are on the PATH, and Ceph's gateway where it is installed; the report says what was missing.
`;

/** Throws for what makes no sense, with a sentence for people. */
export function readOptions(argv: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      help: { type: 'boolean', default: false },
      small: { type: 'boolean', default: false },
      memory: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      scale: { type: 'string' },
      directory: { type: 'string' },
      only: { type: 'string' },
    },
  });
  const { help: wantsHelp, small, memory, directory } = values;
  return {
    help: wantsHelp,
    small,
    memory,
    directory,
    rounds: positive('--rounds', values.rounds ?? (small ? '3' : '5'), { whole: true }),
    scale: positive('--scale', values.scale ?? (small ? '0.05' : '1'), { whole: false }),
    only: values.only?.split(';').map((name) => name.trim()) ?? [],
  };
}

function positive(flag: string, text: string, { whole }: { readonly whole: boolean }): number {
  const value = Number(text);
  if (value > 0 && Number.isFinite(value) && (!whole || Number.isInteger(value))) return value;
  throw new RangeError(`${flag} takes a ${whole ? 'whole ' : ''}number above 0, not ${text}`);
}
