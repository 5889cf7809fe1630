import { join } from 'node:path';
import { type Job, shell } from '../measure.ts';
import { quoted, type Peer } from './peer.ts';

const format = '-Fd -j2 --compress=zstd:1';

/** Its fastest form: two connections, each table by one of them. It syncs what it wrote, as it does by default. */
export function dump({ programs, server }: Peer, database: string, output: string): Job {
  return shell(`exec ${quoted(programs['pg_dump']!)} ${format} -f ${quoted(output)} ${quoted(database)}`, env(server));
}

export function restoreDump({ programs, server }: Peer, input: string, database: string): Job {
  const program = quoted(programs['pg_restore']!);
  return shell(`exec ${program} -j2 --no-owner -d ${quoted(database)} ${quoted(input)}`, env(server));
}

/** One stream, compressed and encrypted for one key, and synced. */
export function dumpToAge({ programs, server, directory }: Peer, database: string, output: string): Job {
  const key = quoted(join(directory, 'age.key'));
  return shell(
    `${quoted(programs['pg_dump']!)} ${quoted(database)} | ${quoted(programs['zstd']!)} -1 -q |
     ${quoted(programs['age']!)} -e -i ${key} -o ${quoted(output)}
     sync ${quoted(output)}`,
    env(server),
  );
}

export function makeAgeKey({ programs, directory }: Peer): Job {
  return shell(`${quoted(programs['age-keygen']!)} -o ${quoted(join(directory, 'age.key'))} 2>&1`, {
    PATH: process.env['PATH'] ?? '',
  });
}

/** A repository that encrypts, cuts by content and keeps nothing twice, as ours does. */
export function dumpToRestic({ programs, server, directory }: Peer, database: string, repository: string): Job {
  const restic = quoted(programs['restic']!);
  return shell(
    `[ -e ${quoted(join(repository, 'config'))} ] || ${restic} init -q
     ${quoted(programs['pg_dump']!)} ${quoted(database)} | ${restic} backup -q --stdin --stdin-filename dump.sql`,
    {
      ...env(server),
      RESTIC_REPOSITORY: repository,
      RESTIC_PASSWORD: 'of-the-bench-alone',
      RESTIC_CACHE_DIR: join(directory, 'restic-cache'),
    },
  );
}

const env = (server: Peer['server']): Record<string, string> => ({ ...server.env, PATH: process.env['PATH'] ?? '' });
