import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { z } from 'zod';
import { postgresDirectory, attachEmbedded } from '#adapters/embedded-postgresql/attach-embedded.ts';
import type { EmbeddedConnection } from '#adapters/embedded-postgresql/start-embedded.ts';
import { createSoftwareSealing } from '#adapters/software/software-sealing.ts';
import { systemClock } from '#adapters/system/clock.ts';
import { systemRandomness } from '#adapters/system/randomness.ts';
import { type Command, commandName } from '#cli/command.ts';
import { commands } from '#cli/commands.ts';
import type { Sealing } from '#ports/sealing.ts';

const program = join(import.meta.dirname, '../bin/enclave-manager.mjs');
/** Far longer than anything here takes; what hangs is ended. */
const timeoutMs = 600_000;

export interface HostOptions {
  readonly name: string;
  readonly site: string;
  /** Of all hosts; each has one of its own in it. */
  readonly directory: string;
  readonly repository: string;
  readonly signal: AbortSignal;
}

const upSchema = z.object({
  address: z.string(),
  status: z.object({ clusterId: z.string(), clusterKey: z.string() }),
});

/** What a manager says of itself once it is up. */
export type Up = z.infer<typeof upSchema>;

export interface Finished {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly durationMs: number;
}

export interface Given {
  readonly settings?: Readonly<Record<string, string>>;
  readonly input?: string;
}

/** A simulated host: a data directory with a key file of its own. Its commands are processes, as on a real one. */
export class Host {
  readonly name: string;
  readonly dataDirectory: string;
  readonly keyFile: string;
  readonly #options: HostOptions;
  readonly #settings: Record<string, string>;
  #serving: ChildProcess | undefined;

  constructor(options: HostOptions) {
    this.name = options.name;
    this.#options = options;
    this.dataDirectory = join(options.directory, options.name);
    this.keyFile = join(this.dataDirectory, 'keys', 'host.key');
    this.#settings = {
      ENCLAVE_MANAGER_DATA_DIR: this.dataDirectory,
      ENCLAVE_MANAGER_REPOSITORY: options.repository,
      ENCLAVE_MANAGER_SEALING: 'software',
      ENCLAVE_MANAGER_NODE_NAME: options.name,
      ENCLAVE_MANAGER_SITE: options.site,
      ENCLAVE_MANAGER_LISTEN: '127.0.0.1:0',
      ENCLAVE_MANAGER_BACKUP_SCHEDULE: '',
      ENCLAVE_MANAGER_DRILL_SCHEDULE: '',
    };
  }

  get sealing(): Sealing {
    return createSoftwareSealing({ keyFile: this.keyFile, keyExpected: false, randomness: systemRandomness });
  }

  /** The embedded database of the manager that runs here. */
  get connection(): EmbeddedConnection {
    const connection = attachEmbedded({ directory: postgresDirectory(this.dataDirectory), liveName: 'malbork' });
    if (connection === undefined) throw new Error(`no database runs on ${this.name}`);
    return connection;
  }

  /** Settings of this one command come on top of those of the host. */
  async run(words: readonly string[], given: Given = {}): Promise<Finished> {
    this.#options.signal.throwIfAborted();
    const begunMs = systemClock.monotonicMs();
    const child = this.#spawn(words, given.settings ?? {});
    child.stdin!.on('error', () => undefined);
    child.stdin!.end(given.input ?? '');
    const [stdout, stderr] = await Promise.all([text(child.stdout!), text(child.stderr!), ended(child)]);
    this.#options.signal.throwIfAborted();
    return { exitCode: child.exitCode ?? 1, stdout, stderr, durationMs: systemClock.monotonicMs() - begunMs };
  }

  /** Starts the manager and resolves when it is up. */
  async serve(): Promise<Up> {
    this.#options.signal.throwIfAborted();
    const child = this.#spawn(['serve', '--json'], {});
    this.#serving = child;
    child.stdin!.end();
    const stderr = text(child.stderr!);
    let printed = '';
    for await (const chunk of child.stdout!.iterator({ destroyOnReturn: false })) {
      printed += String(chunk);
      if (printed.endsWith('\n}\n')) return upSchema.parse(parseResult(commandOf(['serve']), printed));
    }
    this.#options.signal.throwIfAborted();
    throw new Error(`serve on ${this.name} ended before it was up:\n${await stderr}`);
  }

  /** Ends the manager, if one runs here, and with it its database. */
  async stop(): Promise<void> {
    const child = this.#serving;
    this.#serving = undefined;
    if (child === undefined) return;
    // It was told already; told again it would not wait for its database to end.
    if (!this.#options.signal.aborted) child.kill('SIGTERM');
    await ended(child);
  }

  #spawn(words: readonly string[], settings: Readonly<Record<string, string>>): ChildProcess {
    const env = { ...withoutSettings(process.env), ...this.#settings, ...settings };
    const child = spawn(process.execPath, [program, ...words], { env, stdio: 'pipe', timeout: timeoutMs });
    const kill = (): void => void child.kill('SIGTERM');
    this.#options.signal.addEventListener('abort', kill, { once: true });
    child.once('exit', () => this.#options.signal.removeEventListener('abort', kill));
    return child;
  }
}

export function commandOf(words: readonly string[]): Command {
  const line = words.join(' ');
  const command = commands.find((known) => line === commandName(known) || line.startsWith(`${commandName(known)} `));
  if (command === undefined) throw new Error(`there is no command ${line}`);
  return command;
}

/** What a command printed with --json, checked against its schema. */
export const parseResult = (command: Command, stdout: string): unknown => command.result(z).parse(JSON.parse(stdout));

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
}

/** The story has its own settings; those of the person who runs it must not change it. */
const withoutSettings = (env: NodeJS.ProcessEnv): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('ENCLAVE_MANAGER_')));
