import { join } from 'node:path';
import { connectPostgresql } from '#adapters/postgresql/postgresql-server.ts';
import { systemClock } from '#adapters/system/clock.ts';
import { commandName } from '#cli/command.ts';
import { openKeyring, type OpenedKeyring } from '#keys/keyring.ts';
import type { Database } from '#ports/database.ts';
import { readKeyringDocuments } from '#store/keyring-documents.ts';
import { commandOf, type Finished, type Given, Host, parseResult } from './host.ts';
import type { Narrator } from './narrator.ts';

/** What every scene plays with. */
export interface Stage {
  readonly narrator: Narrator;
  /** Holds everything below; whoever made it removes it. */
  readonly directory: string;
  readonly repository: string;
  readonly east: Host;
  readonly west: Host;
  readonly west2: Host;
  readonly stranger: Host;
  /** For the summary. */
  readonly steps: Step[];
}

interface Step {
  readonly what: string;
  readonly durationMs: number;
  readonly result: string;
}

export interface StageOptions {
  readonly narrator: Narrator;
  readonly directory: string;
  readonly signal: AbortSignal;
}

export function setStage({ narrator, directory, signal }: StageOptions): Stage {
  const repository = join(directory, 'repository');
  const host = (name: string, site: string): Host => new Host({ name, site, directory, repository, signal });
  return {
    narrator,
    directory,
    repository,
    east: host('east-1', 'east'),
    west: host('west-1', 'west'),
    west2: host('west-2', 'west'),
    stranger: host('stranger', 'elsewhere'),
    steps: [],
  };
}

export async function clearStage({ east, west, west2, stranger }: Stage): Promise<void> {
  for (const host of [east, west, west2, stranger]) await host.stop();
}

/** Runs a command that must succeed, and tells what it says to a person. */
export async function show(
  { narrator }: Stage,
  host: Host,
  words: readonly string[],
  given?: Given,
): Promise<{ readonly result: unknown; readonly durationMs: number }> {
  narrator.command(host.name, words.join(' '));
  const { result, stderr, durationMs } = await run(host, words, given);
  narrator.output(`${stderr}${commandOf(words).render(result, narrator.style)}`);
  return { result, durationMs };
}

/** Runs a command that must succeed; `result` has the shape of its schema. */
export async function run(
  host: Host,
  words: readonly string[],
  given?: Given,
): Promise<Finished & { readonly result: unknown }> {
  const command = commandOf(words);
  const finished = await host.run([...words, '--json'], given);
  if (finished.exitCode === 0) return { ...finished, result: parseResult(command, finished.stdout) };
  const said = `${finished.stdout}${finished.stderr}`;
  throw new Error(`${commandName(command)} on ${host.name} ended with exit code ${finished.exitCode}:\n${said}`);
}

/** Does something that is a step of the summary. */
export async function timed<T>(work: () => Promise<T>): Promise<{ readonly outcome: T; readonly durationMs: number }> {
  const begunMs = systemClock.monotonicMs();
  const outcome = await work();
  return { outcome, durationMs: systemClock.monotonicMs() - begunMs };
}

/** Works in the database of the manager that runs on a host, with the keys that this host's key file opens. */
export async function inDatabase<T>(
  host: Host,
  work: (database: Database, keyring: OpenedKeyring) => Promise<T>,
): Promise<T> {
  const server = await connectPostgresql({ server: host.connection });
  const database = server.open(server.liveName);
  try {
    return await work(database, await openKeyring(await readKeyringDocuments(database.queries), host.sealing));
  } finally {
    await database.close();
    await server.close();
  }
}
