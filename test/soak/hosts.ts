import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createSoftwareSealing } from '#adapters/software/software-sealing.ts';
import { systemRandomness } from '#adapters/system/randomness.ts';
import type { Sealing } from '#ports/sealing.ts';
import type { StartedCommand } from '../fixtures/command.ts';

/** `enrolled` opens backups; the others must be refused. */
export type Standing = 'outsider' | 'enrolled' | 'evicted';

export interface Serving {
  readonly started: StartedCommand;
  readonly pid: number;
  /** Where it answers; `undefined` while it has not said. */
  readonly address: string | undefined;
  stopped: boolean;
}

/** A directory and a key file: the key is the hardware, the directory the disk. */
export interface SoakHost {
  readonly name: string;
  readonly site: string;
  readonly dataDirectory: string;
  readonly keyFile: string;
  standing: Standing;
  /** Its disk has local state; without, it knows no cluster and no newest sequence. */
  readonly remembers: boolean;
  serving: Serving | undefined;
}

export function newHost(directory: string, name: string, site: string): SoakHost {
  const dataDirectory = join(directory, name);
  const keyDirectory = join(directory, 'keys', name);
  mkdirSync(dataDirectory, { recursive: true, mode: 0o711 });
  mkdirSync(keyDirectory, { recursive: true, mode: 0o700 });
  return {
    name,
    site,
    dataDirectory,
    keyFile: join(keyDirectory, 'host.key'),
    standing: 'outsider',
    get remembers() {
      return existsSync(memoryFile(dataDirectory));
    },
    serving: undefined,
  };
}

const memoryFile = (dataDirectory: string): string => join(dataDirectory, 'state', 'node.json');

/** What a host has seen of its cluster. */
export interface HostMemory {
  readonly clusterKey?: string;
  readonly highestSequence: number;
  readonly highestMembership: number;
}

const nothing: HostMemory = { highestSequence: 0, highestMembership: 0 };

export const memoryOf = ({ dataDirectory, remembers }: SoakHost): HostMemory =>
  remembers ? { ...nothing, ...(JSON.parse(readFileSync(memoryFile(dataDirectory), 'utf8')) as object) } : nothing;

export const sealingOf = (host: SoakHost): Sealing =>
  createSoftwareSealing({ keyFile: host.keyFile, keyExpected: false, randomness: systemRandomness });
