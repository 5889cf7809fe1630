import { cpSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fill } from './dataset.ts';
import { Manager, type Place } from './manager.ts';
import { type Job, measure, type Measurement } from './measure.ts';
import type { Peer } from './peers/peer.ts';
import { findPrograms, type Programs } from './peers/programs.ts';
import { type BenchServer, startServer } from './server.ts';

/** Everything that one run measures with: a server, a filled cluster, and a directory on one file system for all output. */
export interface Bench {
  readonly directory: string;
  readonly server: BenchServer;
  readonly manager: Manager;
  readonly peer: Peer;
  readonly missing: Programs['missing'];
  /** The cluster's repository as it was before its first backup; see `freshRepository`. */
  readonly emptyRepository: string;
  readonly say: (line: string) => void;
}

export const source = 'malbork';

export async function prepareBench(
  directory: string,
  options: { readonly scale: number; readonly say: Bench['say'] },
): Promise<Bench> {
  const { scale, say } = options;
  mkdirSync(join(directory, 'peers'), { recursive: true });
  const server = await startServer(join(directory, 'server'));
  try {
    const manager = new Manager(join(directory, 'host'), server);
    const emptyRepository = join(directory, 'empty-repository');
    await server.query('postgres', `CREATE DATABASE ${source} TEMPLATE template0`);
    await manager.createCluster({ repository: emptyRepository });
    say('filling the database');
    await fill(server, manager.sealing, source, scale);
    const { found, missing } = findPrograms();
    const peer = { programs: found, server, directory: join(directory, 'peers') };
    return { directory, server, manager, peer, missing, emptyRepository, say };
  } catch (error) {
    await server.stop();
    throw error;
  }
}

/** A repository of this cluster that holds no backup yet. */
export function freshRepository({ directory, emptyRepository }: Bench, name: string): string {
  const path = join(directory, name);
  rmSync(path, { recursive: true, force: true });
  cpSync(emptyRepository, path, { recursive: true });
  return path;
}

export async function run({ server, manager }: Bench, words: readonly string[], place: Place): Promise<Measurement> {
  return await measure(manager.job(words, place), server.postmaster);
}

export async function runJob({ server }: Bench, job: Job): Promise<Measurement> {
  return await measure(job, server.postmaster);
}
