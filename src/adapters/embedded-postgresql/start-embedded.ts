import type { ChildProcess } from 'node:child_process';
import { chmodSync, closeSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fromFileSystemError } from '#errors/file-system-error.ts';
import type { OwnerLock } from '#ports/owner-lock.ts';
import { clusterPath, ensureCluster, programFailed, readPassword, superuser } from './cluster-files.ts';
import { makeLauncher, type Launcher } from './launcher.ts';
import { readPostmasterFile } from './postmaster-file.ts';
import { chooseServerUser, giveTo } from './server-user.ts';
import { serverSettings } from './server-settings.ts';
import { socketDirectory } from './socket-directory.ts';
import { stopOrphan, stopProcess } from './stop-orphan.ts';

/** As the PostgreSQL adapter takes it. Holds the password: never log it. */
export interface EmbeddedConnection {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
  readonly tls: null;
}

export interface EmbeddedServer {
  readonly connection: EmbeddedConnection;
  readonly pid: number;
  /** What a person calls it. */
  readonly location: string;
  /** Resolves with a sentence when the server ended, asked to or not. */
  readonly exited: Promise<string>;
  /** Ends all sessions and the server; safe to call twice. */
  stop(): Promise<void>;
}

export interface StartOptions {
  /** Holds `cluster`, `password`, `postgres.log` and, where its path is short enough, the socket. */
  readonly directory: string;
  readonly liveName: string;
  /** Of the directory or one above it. Without it another manager's server could be taken for an orphan and stopped. */
  readonly lock: OwnerLock;
  /** `false`: nothing is flushed to disk; for scratch servers, which are thrown away after a crash. */
  readonly durable?: boolean;
  readonly launcher?: (options: Parameters<typeof makeLauncher>[0]) => Launcher;
}

const port = 5432;
/** After a crash the server replays its log before it is ready. */
const startTimeoutMs = 600_000;
const longestLogBytes = 10 * 1024 * 1024;

/** Throws `configuration`, `no-space`, `version-incompatible`, `database-unreachable`. */
export async function startEmbedded(options: StartOptions): Promise<EmbeddedServer> {
  const directory = resolve(options.directory);
  try {
    return await start({ ...options, directory });
  } catch (error) {
    throw fromFileSystemError(error, directory);
  }
}

async function start({
  directory,
  liveName,
  durable = true,
  launcher: make = makeLauncher,
}: StartOptions): Promise<EmbeddedServer> {
  const user = chooseServerUser(directory);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  chmodSync(directory, 0o700);
  giveTo(user, directory);
  const launcher = make({ directory, user });
  await stopOrphan(clusterPath(directory));
  await ensureCluster(directory, launcher, user, durable);
  const host = socketDirectory(directory, user);
  const child = spawnServer(directory, launcher, serverSettings({ socketDirectory: host, port, durable }));
  const exited = exitOf(child);
  const stop = async (): Promise<void> => {
    if (child.pid !== undefined && child.exitCode === null && child.signalCode === null) await stopProcess(child.pid);
    await exited;
    if (host !== directory) rmSync(host, { recursive: true, force: true });
  };
  await untilReady(directory, child, exited, stop);
  const connection = { host, port, user: superuser, password: readPassword(directory), database: liveName, tls: null };
  return { connection, pid: child.pid!, location: embeddedLocation(directory), exited, stop };
}

export function embeddedLocation(directory: string): string {
  return `embedded PostgreSQL in ${directory}`;
}

function spawnServer(directory: string, launcher: Launcher, settings: Readonly<Record<string, string>>): ChildProcess {
  const parameters = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const log = openLog(logPath(directory));
  try {
    return launcher.spawn('postgres', ['-D', clusterPath(directory), ...parameters], ['ignore', log, log]);
  } finally {
    closeSync(log);
  }
}

function exitOf(child: ChildProcess): Promise<string> {
  return new Promise((done) => {
    child.once('error', (error) => done(`could not be started: ${error.message}`));
    child.once('exit', (code, name) => done(name === null ? `ended with exit code ${code}` : `was ended by ${name}`));
  });
}

/** The file says `ready` and names our own process: an old file says nothing about the server just started. */
async function untilReady(
  directory: string,
  child: ChildProcess,
  exited: Promise<string>,
  stop: () => Promise<void>,
): Promise<void> {
  let ended: string | undefined;
  void exited.then((how) => (ended = how));
  for (let waitedMs = 0; waitedMs < startTimeoutMs; waitedMs += 10) {
    await sleep(10);
    if (ended !== undefined) throw programFailed('postgres', ended, readLogEnd(directory));
    const file = readPostmasterFile(clusterPath(directory));
    if (file?.pid === child.pid && file?.status === 'ready') return;
  }
  await stop();
  throw programFailed('postgres', `was not ready within ${startTimeoutMs / 1000} s`, readLogEnd(directory));
}

function logPath(directory: string): string {
  return join(directory, 'postgres.log');
}

function openLog(path: string): number {
  if ((statSync(path, { throwIfNoEntry: false })?.size ?? 0) > longestLogBytes) renameSync(path, `${path}.1`);
  return openSync(path, 'a', 0o600);
}

function readLogEnd(directory: string): string {
  return readFileSync(logPath(directory), 'utf8').slice(-4096);
}
