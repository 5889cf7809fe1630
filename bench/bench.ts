import { cpSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fill } from './dataset.ts';
import { Manager, type Place } from './manager.ts';
import { type Job, measure, type Measurement } from './measure.ts';
import type { Peer } from './peers/peer.ts';
import { findPrograms } from './peers/programs.ts';
import { type BenchServer, startServer } from './server.ts';
import { makePrefixes, startStorage, type Storage } from './storage.ts';

/** Everything that one run measures with: a server, a filled cluster, and a directory on one file system for all output. */
export interface Bench {
  readonly directory: string;
  readonly server: BenchServer;
  readonly manager: Manager;
  /** The same host with a memory of its own, for repositories that begin anew: a host refuses one that has less than it has seen. */
  readonly roundManager: Manager;
  readonly peer: Peer;
  /** Where there is one. */
  readonly storage: Storage | undefined;
  /** One for each round. */
  readonly storagePlaces: readonly Place[];
  readonly missing: readonly string[];
  /** The cluster's repository as it was before its first backup; see `freshRepository`. */
  readonly emptyRepository: string;
  readonly say: (line: string) => void;
}

export const source = 'malbork';

export interface PrepareOptions {
  readonly scale: number;
  /** How many backups go to an S3 server; with 0 none is started. */
  readonly storageRounds: number;
  readonly say: Bench['say'];
}

export async function prepareBench(directory: string, options: PrepareOptions): Promise<Bench> {
  const { scale, say } = options;
  mkdirSync(join(directory, 'peers'), { recursive: true });
  const server = await startServer(join(directory, 'server'));
  try {
    const manager = new Manager(join(directory, 'host'), server);
    const emptyRepository = join(directory, 'empty-repository');
    await server.query('postgres', `CREATE DATABASE ${source} TEMPLATE template0`);
    await manager.createCluster({ repository: emptyRepository });
    cpSync(join(directory, 'host'), join(directory, 'round-host'), { recursive: true });
    const roundManager = new Manager(join(directory, 'round-host'), server);
    say('filling the database');
    await fill(server, manager.sealing, source, scale);
    const { found, missing } = findPrograms();
    const peer = { programs: found, server, directory: join(directory, 'peers') };
    const storage = await startStorageFor(options);
    const common = { directory, server, manager, roundManager, peer, emptyRepository, say };
    if (typeof storage === 'string')
      return { ...common, storage: undefined, storagePlaces: [], missing: [...missing, storage] };
    const storagePlaces = await makePrefixes(storage, roundManager, options.storageRounds);
    return { ...common, storage, storagePlaces, missing };
  } catch (error) {
    await server.stop();
    throw error;
  }
}

async function startStorageFor({ storageRounds }: PrepareOptions): Promise<Storage | string> {
  return storageRounds === 0 ? 'an S3 server: not asked for' : await startStorage();
}

/** A repository of this cluster that holds no backup yet. */
export function freshRepository({ directory, emptyRepository }: Bench, name: string): string {
  const path = join(directory, name);
  rmSync(path, { recursive: true, force: true });
  cpSync(emptyRepository, path, { recursive: true });
  return path;
}

export async function run(bench: Bench, words: readonly string[], place: Place): Promise<Measurement> {
  return await runJob(bench, bench.manager.job(words, place));
}

export async function runJob({ server, storage }: Bench, job: Job): Promise<Measurement> {
  return await measure(job, { postmaster: server.postmaster, storePrograms: storage?.programs });
}

export async function endBench({ server, storage }: Bench): Promise<void> {
  await storage?.stop();
  await server.stop();
}
