import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DirectoryStore } from '#adapters/filesystem/directory-store.ts';
import { openKeyring, type OpenedKeyring } from '#keys/keyring.ts';
import { openRepository, readKeyringDocuments as readStoredDocuments } from '#operations/open-repository.ts';
import { readCatalog, type Catalog } from '#operations/read-catalog.ts';
import type { Database, DatabaseServer } from '#ports/database.ts';
import { readKeyringDocuments } from '#store/keyring-documents.ts';
import type { Chance } from '../../demo/contents/chance.ts';
import { startCommand, type CommandResult, type StartedCommand } from '../fixtures/command.ts';
import type { DatabasePlace } from './database-place.ts';
import { describeFault, noFault, type Fault } from './faults.ts';
import { sealingOf, type SoakHost } from './hosts.ts';
import type { Journal } from './journal.ts';
import { newModel, type Model } from './model.ts';
import { RepositoryView } from './repository-view.ts';
import { readState, type State } from './state.ts';
import type { Tally } from './tally.ts';
import { require, Violation } from './violation.ts';

/** Far longer than anything takes here on a busy machine: what is killed then hung. */
const longestCommandMs = 300_000;
/** Every secret that we plant holds one of these; none may come out anywhere. */
export const secretMark = 'soak-secret-';
const hiddenForms = [secretMark, Buffer.from(secretMark).toString('hex'), Buffer.from(secretMark).toString('base64')];

export interface Given {
  readonly fault?: Fault;
  readonly clockOffsetMs?: number;
  readonly settings?: Readonly<Record<string, string>>;
  /** Another database than the live one. */
  readonly database?: string;
  /** Runs the command line in another program, which is given it as its last arguments. */
  readonly within?: readonly [string, ...string[]];
  /** Does something to the machine while the command runs, so long after its start. */
  readonly meanwhile?: { readonly afterMs: number; readonly act: (started: StartedCommand) => Promise<void> };
  /** Secrets that this command is meant to print. */
  readonly mayPrint?: boolean;
}

export interface Outcome extends CommandResult {
  /** What it printed with --json; `undefined` where it was killed before. */
  readonly document: Readonly<Record<string, unknown>> | undefined;
  /** The code of its failure, or its message. */
  readonly error: string | undefined;
  /** We ended it, or asked it to end, before it ended by itself. */
  readonly interrupted: boolean;
}

/** One cluster with its hosts, its database, its repository, and the model of what must be true of them. */
export class World {
  readonly directory: string;
  readonly temporary: string;
  readonly hosts: SoakHost[] = [];
  readonly place: DatabasePlace;
  readonly repository: RepositoryView;
  readonly model: Model = newModel();
  readonly journal: Journal;
  readonly tally: Tally;
  readonly knownSecrets = new Set<string>();
  /** A killed process may still hold a lease, which then refuses others for a while. */
  leaseMayBeHeld = false;
  /** A killed restore leaves its half-built database, a rollback the restored one, until cleanup. */
  mayHaveStaging = false;
  /** A killed drill leaves its scratch database until the next drill on that host. */
  mayHaveScratch = false;

  constructor(parts: { directory: string; place: DatabasePlace; journal: Journal; tally: Tally }) {
    this.directory = parts.directory;
    this.place = parts.place;
    this.journal = parts.journal;
    this.tally = parts.tally;
    this.temporary = join(parts.directory, 'tmp');
    this.repository = new RepositoryView(join(parts.directory, 'repository'));
    mkdirSync(this.temporary, { recursive: true });
  }

  enrolled(): SoakHost[] {
    return this.hosts.filter(({ standing }) => standing === 'enrolled');
  }

  anyEnrolled(chance: Chance): SoakHost {
    return chance.oneOf(this.enrolled());
  }

  settingsOf(host: SoakHost, given: Given = {}): Record<string, string> {
    return {
      ...this.place.settings(given.database ?? this.place.liveName),
      ENCLAVE_MANAGER_REPOSITORY: this.repository.directory,
      ENCLAVE_MANAGER_SEALING: 'software',
      ENCLAVE_MANAGER_SEALING_KEY_FILE: host.keyFile,
      ENCLAVE_MANAGER_NODE_NAME: host.name,
      ENCLAVE_MANAGER_SITE: host.site,
      ENCLAVE_MANAGER_BACKUP_SCHEDULE: '',
      ENCLAVE_MANAGER_DRILL_SCHEDULE: '',
      TMPDIR: this.temporary,
      ...clockSettings(given.clockOffsetMs),
      ...faultSettings(given.fault),
      ...given.settings,
    };
  }

  start(host: SoakHost, words: readonly string[], given: Given = {}): StartedCommand {
    const clock = given.clockOffsetMs ?? 0;
    const shift = clock === 0 ? [] : ['--import', join(import.meta.dirname, 'shift-clock.ts')];
    const main = join(import.meta.dirname, '../../src/main.ts');
    if (clock !== 0) this.tally.add('fault: wrong clock');
    return startCommand(words, {
      dataDirectory: host.dataDirectory,
      env: this.settingsOf(host, given),
      program: [...(given.within ?? []), process.execPath, ...shift, main] as [string, ...string[]],
      runMs: words[0] === 'serve' ? 24 * 3_600_000 : longestCommandMs,
    });
  }

  /** Runs a command and holds its end and its output to the contract. */
  async run(host: SoakHost, words: readonly string[], given: Given = {}): Promise<Outcome> {
    const fault = given.fault ?? noFault;
    const begunMs = performance.now();
    const started = this.start(host, [...words, '--json'], given);
    const timer =
      fault.kind === 'signal' ? setTimeout(() => started.child.kill(fault.signal), fault.afterMs) : undefined;
    const acted = given.meanwhile && actLater(started, given.meanwhile);
    const result = await started.ended;
    clearTimeout(timer);
    await acted;
    const outcome = this.judge(words, result, given);
    this.journal.note('command', {
      host: host.name,
      words,
      fault: describeFault(fault),
      clockOffsetMs: given.clockOffsetMs ?? 0,
      exit: outcome.exitCode ?? outcome.signal,
      error: outcome.error,
      ms: Math.round(performance.now() - begunMs),
    });
    if (outcome.interrupted) {
      this.leaseMayBeHeld ||= given.database === undefined;
      this.mayHaveStaging ||= words[0] === 'restore';
      this.mayHaveScratch ||= words[1] === 'drill';
    }
    return outcome;
  }

  /** What holds for the end of every command. */
  judge(words: readonly string[], result: CommandResult, given: Given): Outcome {
    const fault = given.fault ?? noFault;
    const line = words.join(' ');
    const output = `${result.stdout}${result.stderr}`;
    if (given.mayPrint !== true) this.requireNoSecret(line, output);
    const killed = result.signal !== null;
    const killable = fault.kind === 'crash point' || fault.kind === 'signal';
    require(!killed || killable, () => `"${line}" was ended by ${result.signal}: it hung, or crashed`);
    if (killed && fault.kind === 'crash point') this.tally.add(`crash point: ${fault.point}`);
    if (killed) this.tally.add('fault: SIGKILL');
    const { exitCode } = result;
    // That the command may end with any other code, its help says: whoever started it looked.
    require(exitCode !== 1 || words[0] === 'status', () => `"${line}" ended with ${exitCode}:\n${output}`);
    const document = parse(result.stdout);
    const error = document?.['error'] as { code: string; message: string } | undefined;
    const interrupted = killed || exitCode === 130 || exitCode === 143;
    require(!interrupted || killable, () => `"${line}" ended with ${exitCode}, but nobody interrupted it:\n${output}`);
    if (interrupted && !killed) this.tally.add('fault: told to end');
    return { ...result, document, error: error && `${error.code}: ${error.message}`, interrupted };
  }

  requireNoSecret(what: string, output: string): void {
    const found = [...hiddenForms, ...this.knownSecrets].find((form) => output.includes(form));
    require(found === undefined, () => `"${what}" printed a secret:\n${output}`);
  }

  /** Our own look at the repository, with the keys of an enrolled host. */
  async readCatalog(): Promise<{ readonly catalog: Catalog; readonly keyring: OpenedKeyring }> {
    const store = new DirectoryStore(this.repository.directory);
    const [host] = this.enrolled();
    const { keyring } = await openRepository(store, sealingOf(host!));
    return { catalog: await readCatalog(store, keyring, new Date()), keyring };
  }

  async withDatabase<T>(
    work: (database: Database, keyring: OpenedKeyring, server: DatabaseServer) => Promise<T>,
    name: string = this.place.liveName,
    host: SoakHost = this.enrolled()[0]!,
  ): Promise<T> {
    return await this.place.withServer(async (server) => {
      const database = server.open(name, { connections: 2 });
      try {
        const inDatabase = await readKeyringDocuments(database.queries);
        const stored = await readStoredDocuments(new DirectoryStore(this.repository.directory));
        const keyring = await openKeyring([...inDatabase, ...stored], sealingOf(host));
        return await work(database, keyring, server);
      } finally {
        await database.close();
      }
    }, name);
  }

  /** `undefined` where there is no such database, or no cluster in it. */
  async stateOf(name: string): Promise<State | undefined> {
    if (!this.place.isThere()) return undefined;
    const exists = await this.place.withServer((server) => server.databaseIdentity(name));
    if (exists === undefined) return undefined;
    return await this.withDatabase((database, keyring) => readState(database, keyring), name);
  }

  /** What time does to the lease and the maintenance of a process that was killed, in this database alone. */
  async letLeasesExpire(name: string = this.place.liveName): Promise<void> {
    const isLive = name === this.place.liveName;
    if (isLive) this.leaseMayBeHeld = false;
    if (isLive && this.model.live === undefined) return;
    const past = `expires_at = now() - INTERVAL '1 second'`;
    await this.runScript(
      `UPDATE leases SET ${past} WHERE holder IS NOT NULL;
       UPDATE maintenance SET ${past} WHERE maintenance_id IS NOT NULL`,
      name,
    );
  }

  /** Statements past the program, as of somebody who may write every row. */
  async runScript(statements: string, name: string = this.place.liveName): Promise<void> {
    await this.place.withServer(async (server) => {
      const database = server.open(name, { connections: 1 });
      try {
        await database.runScript(statements);
      } finally {
        await database.close();
      }
    });
  }

  /** A code that nobody can help while another's lease lasts. */
  busyCodes(): number[] {
    return this.leaseMayBeHeld ? [13] : [];
  }
}

/** Fails unless the command ended with one of the codes, or we ended it. */
export function requireExit(outcome: Outcome, allowed: readonly number[], what: string): void {
  if (outcome.interrupted) return;
  if (outcome.exitCode !== null && allowed.includes(outcome.exitCode)) return;
  throw new Violation(
    `${what} ended with ${outcome.exitCode}, not with ${allowed.join(' or ')}:\n${outcome.stdout}${outcome.stderr}`,
  );
}

function parse(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}

async function actLater(started: StartedCommand, { afterMs, act }: NonNullable<Given['meanwhile']>): Promise<void> {
  await sleep(afterMs);
  await act(started);
}

const clockSettings = (offsetMs = 0): Record<string, string> =>
  offsetMs === 0 ? {} : { SOAK_CLOCK_OFFSET_MS: String(offsetMs) };

const faultSettings = (fault: Fault = noFault): Record<string, string> =>
  fault.kind === 'crash point' ? { ENCLAVE_MANAGER_TEST_KILL_AT: `${fault.point}#${fault.times}` } : {};
