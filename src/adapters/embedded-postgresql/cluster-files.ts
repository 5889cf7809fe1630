import { randomBytes } from 'node:crypto';
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { Launcher } from './launcher.ts';
import { giveTo, type ServerUser } from './server-user.ts';

export const superuser = 'enclave_manager';
const major = '18';

export function clusterPath(directory: string): string {
  return join(directory, 'cluster');
}

function passwordPath(directory: string): string {
  return join(directory, 'password');
}

/**
 * Makes the cluster where there is none yet. It is built beside its place and renamed, all flushed: whatever happens in
 * between, there is a whole cluster or none. Throws `version-incompatible` for the cluster of another major.
 */
export async function ensureCluster(
  directory: string,
  launcher: Launcher,
  user: ServerUser | undefined,
  durable: boolean,
): Promise<void> {
  const cluster = clusterPath(directory);
  if (existsSync(cluster)) return checkMajor(cluster);
  const partial = `${cluster}.new`;
  rmSync(partial, { recursive: true, force: true });
  writePassword(passwordPath(directory), user);
  const authentication = ['-U', superuser, '-A', 'scram-sha-256', '--pwfile', passwordPath(directory)];
  const locale = ['-E', 'UTF8', '--locale-provider=builtin', '--builtin-locale=C.UTF-8', '--locale=C'];
  const files = ['-D', partial, '--data-checksums', '--no-instructions', ...(durable ? [] : ['--no-sync'])];
  await runInitdb(launcher, [...authentication, ...locale, ...files]);
  renameSync(partial, cluster);
  syncDirectory(directory);
  syncDirectory(dirname(directory));
}

export function readPassword(directory: string): string {
  const path = passwordPath(directory);
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (cause) {
    throw new EnclaveManagerError('configuration', `the database's password cannot be read from ${path}`, {
      hint: 'Run as the user who started the manager; if the file is lost, restore a backup into another data directory.',
      cause,
    });
  }
}

function checkMajor(cluster: string): void {
  const found = readFileSync(join(cluster, 'PG_VERSION'), 'utf8').trim();
  if (found === major) return;
  throw new EnclaveManagerError(
    'version-incompatible',
    `${cluster} was made by PostgreSQL ${found}; this release brings PostgreSQL ${major}`,
    {
      hint: 'Take a backup with the release that made it, then restore it with this release into another data directory.',
    },
  );
}

function writePassword(path: string, user: ServerUser | undefined): void {
  const file = openSync(path, 'w', 0o600);
  try {
    writeSync(file, `${randomBytes(24).toString('base64url')}\n`);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  giveTo(user, path);
}

async function runInitdb(launcher: Launcher, parameters: readonly string[]): Promise<void> {
  const child = launcher.spawn('initdb', parameters, ['ignore', 'ignore', 'pipe']);
  const exited = new Promise<string | undefined>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, name) => resolve(code === 0 ? undefined : `ended with ${name ?? code}`));
  });
  const [failure, output] = await Promise.all([exited, text(child.stderr!).catch(() => '')]);
  if (failure !== undefined) throw programFailed('initdb', failure, output);
}

/** Gives the end of a program's output its typed error. */
export function programFailed(program: string, failure: string, output: string): EnclaveManagerError {
  const lines = output.trim().split('\n').slice(-6).join('\n');
  const code = /no space left on device|disk quota exceeded/i.test(output) ? 'no-space' : 'database-unreachable';
  return new EnclaveManagerError(code, `embedded PostgreSQL: ${program} ${failure}: ${lines}`, {
    hint:
      code === 'no-space'
        ? 'Free space, then start again.'
        : 'The lines above are from PostgreSQL itself and name the cause.',
  });
}

function syncDirectory(path: string): void {
  const directory = openSync(path, 'r');
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}
