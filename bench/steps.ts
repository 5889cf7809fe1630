import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { type Bench, freshRepository, run, runJob, source } from './bench.ts';
import type { Job, Measurement } from './measure.ts';
import { drain } from './peers/drain.ts';
import { dump, dumpToAge, dumpToRestic, makeAgeKey, restoreDump } from './peers/pg-dump.ts';

/** One thing that is measured in every round, with what has to be so before and what it leaves. */
export interface Step {
  readonly name: StepName;
  /** Programs of others it needs. */
  readonly needs?: readonly string[];
  prepare?(): Promise<void>;
  job(): Promise<Job> | Job;
  clean?(): Promise<void>;
}

export type StepName =
  | 'pg_dump'
  | 'pg_dump | zstd | age'
  | 'pg_dump | restic, first'
  | 'pg_dump | restic, unchanged'
  | 'drain'
  | 'backup'
  | 'backup, unchanged'
  | 'backup to S3'
  | 'verify'
  | 'drill'
  | 'export'
  | 'pg_restore'
  | 'restore';

export const ourSteps: readonly StepName[] = [
  'backup',
  'backup, unchanged',
  'backup to S3',
  'verify',
  'drill',
  'restore',
  'export',
];

/** What the steps restore, verify and export: one backup of each kind, made before the first round. */
export async function makeBaselines(bench: Bench, { peers }: { readonly peers: boolean }): Promise<Measurement> {
  if (peers) await preparePeers(bench);
  const { repository } = basePlace(bench);
  freshRepository(bench, 'base-repository');
  return await run(bench, ['backup', 'create'], { repository });
}

async function preparePeers(bench: Bench): Promise<void> {
  const { peer } = bench;
  if (peer.programs['pg_dump'] !== undefined) await runJob(bench, dump(peer, source, baseDump(bench)));
  if (peer.programs['age'] !== undefined) await runJob(bench, makeAgeKey(peer));
}

const baseDump = ({ peer }: Bench): string => join(peer.directory, 'base.dump');
export const basePlace = ({ directory }: Bench): { readonly repository: string } => ({
  repository: join(directory, 'base-repository'),
});

export function stepsOf(bench: Bench): Step[] {
  const { peer } = bench;
  const available = (step: Step): boolean => (step.needs ?? []).every((name) => peer.programs[name] !== undefined);
  return [...dumping(bench), ...backingUp(bench), ...toStorage(bench), ...proving(bench), ...restoring(bench)].filter(
    available,
  );
}

function dumping(bench: Bench): Step[] {
  const { peer } = bench;
  const remove = (path: string) => async (): Promise<void> => rmSync(path, { recursive: true, force: true });
  const output = (name: string): string => join(peer.directory, name);
  const restic = { needs: ['pg_dump', 'restic', 'bash'], job: () => dumpToRestic(peer, source, output('restic')) };
  return [
    {
      name: 'pg_dump',
      needs: ['pg_dump'],
      job: () => dump(peer, source, output('round.dump')),
      clean: remove(output('round.dump')),
    },
    {
      name: 'pg_dump | zstd | age',
      needs: ['pg_dump', 'zstd', 'age', 'age-keygen', 'bash'],
      job: () => dumpToAge(peer, source, output('round.age')),
      clean: remove(output('round.age')),
    },
    { name: 'pg_dump | restic, first', ...restic, prepare: remove(output('restic')) },
    { name: 'pg_dump | restic, unchanged', ...restic },
    { name: 'drain', needs: ['psql', 'bash'], job: () => drain(peer, source) },
  ];
}

function backingUp(bench: Bench): Step[] {
  const { manager, roundManager, directory } = bench;
  const repository = join(directory, 'round-repository');
  return [
    {
      name: 'backup',
      prepare: async () => void freshRepository(bench, 'round-repository'),
      job: () => roundManager.job(['backup', 'create'], { repository }),
      clean: async () => rmSync(repository, { recursive: true, force: true }),
    },
    { name: 'backup, unchanged', job: () => manager.job(['backup', 'create'], basePlace(bench)) },
  ];
}

function toStorage({ roundManager, storagePlaces }: Bench): Step[] {
  if (storagePlaces.length === 0) return [];
  let round = 0;
  return [{ name: 'backup to S3', job: () => roundManager.job(['backup', 'create'], storagePlaces[round++]!) }];
}

function proving(bench: Bench): Step[] {
  const { manager, directory } = bench;
  const output = join(directory, 'export.sql');
  return [
    { name: 'verify', job: () => manager.job(['backup', 'verify', 'latest'], basePlace(bench)) },
    { name: 'drill', job: () => manager.job(['backup', 'drill', 'latest'], basePlace(bench)) },
    {
      name: 'export',
      job: () => manager.job(['backup', 'export', 'latest', '--format', 'sql', '--output', output], basePlace(bench)),
      clean: async () => rmSync(output, { force: true }),
    },
  ];
}

/** Both into a database that is not there yet, or empty, on the same server. */
function restoring(bench: Bench): Step[] {
  const { manager, server, peer } = bench;
  const drop = (name: string) => async (): Promise<void> => {
    await server.query('postgres', `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
    // What one restore left to be written must not be written while the next is measured.
    await server.query('postgres', 'CHECKPOINT');
  };
  return [
    {
      name: 'pg_restore',
      needs: ['pg_dump', 'pg_restore'],
      prepare: async () => {
        await drop('dumped')();
        await server.query('postgres', 'CREATE DATABASE dumped TEMPLATE template0');
      },
      job: () => restoreDump(peer, baseDump(bench), 'dumped'),
      clean: drop('dumped'),
    },
    {
      name: 'restore',
      prepare: drop('restored'),
      job: () => manager.job(['restore', 'run', 'latest'], { ...basePlace(bench), database: 'restored' }),
      clean: drop('restored'),
    },
  ];
}
