import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { createSoftwareSealing } from '#adapters/software/software-sealing.ts';
import { systemRandomness } from '#adapters/system/randomness.ts';
import type { Sealing } from '#ports/sealing.ts';
import type { Job } from './measure.ts';
import type { BenchServer } from './server.ts';

const program = join(import.meta.dirname, '../bin/enclave-manager.mjs');

/** One host with its key; where its database and its repository are, each command says. */
export class Manager {
  readonly #dataDirectory: string;
  readonly #server: BenchServer;

  constructor(dataDirectory: string, server: BenchServer) {
    this.#dataDirectory = dataDirectory;
    this.#server = server;
  }

  get sealing(): Sealing {
    const keyFile = join(this.#dataDirectory, 'keys', 'host.key');
    return createSoftwareSealing({ keyFile, keyExpected: true, randomness: systemRandomness });
  }

  /** A command as a person would start it, with one line for each phase. */
  job(words: readonly string[], place: Place): Job {
    const parameters = [program, ...words, '--json', '--phases', '--yes'];
    return { program: process.execPath, parameters, env: { ...this.#settings(place), ...place.env } };
  }

  /** Serves until it is up, and stops again: that is what makes a cluster. */
  async createCluster(place: Place): Promise<void> {
    const child = spawn(process.execPath, [program, 'serve', '--json'], {
      env: { ...this.#settings(place), ...place.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const said = text(child.stderr);
    let printed = '';
    for await (const chunk of child.stdout.iterator({ destroyOnReturn: false })) {
      printed += String(chunk);
      if (printed.endsWith('\n}\n')) break;
    }
    child.kill('SIGTERM');
    if (child.exitCode === null) await once(child, 'exit');
    if (!printed.endsWith('\n}\n')) throw new Error(`serve ended before it was up:\n${await said}`);
  }

  #settings({ database = 'malbork', repository }: Place): Record<string, string> {
    return {
      PATH: process.env['PATH'] ?? '',
      ENCLAVE_MANAGER_DATA_DIR: this.#dataDirectory,
      ENCLAVE_MANAGER_DATABASE_URL: this.#server.urlOf(database),
      ENCLAVE_MANAGER_REPOSITORY: repository,
      ENCLAVE_MANAGER_SEALING: 'software',
      ENCLAVE_MANAGER_NODE_NAME: 'bench',
      ENCLAVE_MANAGER_LISTEN: '127.0.0.1:0',
      ENCLAVE_MANAGER_BACKUP_SCHEDULE: '',
      ENCLAVE_MANAGER_DRILL_SCHEDULE: '',
    };
  }
}

export interface Place {
  readonly database?: string;
  readonly repository: string;
  /** For a store that wants credentials. */
  readonly env?: Readonly<Record<string, string>>;
}
