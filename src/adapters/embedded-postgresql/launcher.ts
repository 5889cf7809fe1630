import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { spawn, type ChildProcess, type StdioOptions } from 'node:child_process';
import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { completeBinaries, copyBinaries, findNativeBinaries } from './native-binaries.ts';
import { closedDirectory, type ServerUser } from './server-user.ts';

/** Starts PostgreSQL's programs as the right user, so that they end with us even when we are killed. */
export interface Launcher {
  readonly spawn: (program: 'initdb' | 'postgres', parameters: readonly string[], stdio: StdioOptions) => ChildProcess;
}

export interface LauncherOptions {
  /** The server's directory; binaries are copied into it where they must be. */
  readonly directory: string;
  readonly user: ServerUser | undefined;
  /** Overrides for tests: where `setpriv` and the binaries are. */
  readonly setpriv?: string | undefined;
  readonly native?: string;
}

const systemSetpriv = ['/usr/bin/setpriv', '/bin/setpriv'].find((path) => existsSync(path));

export function makeLauncher(options: LauncherOptions): Launcher {
  const { directory, user } = options;
  const setpriv = 'setpriv' in options ? options.setpriv : systemSetpriv;
  const copyPath = join(directory, 'binaries');
  let native = completeBinaries(options.native ?? findNativeBinaries(), copyPath);
  const rights: string[] = [];
  if (user !== undefined) {
    const closed = closedDirectory(user, directory);
    const right = setpriv === undefined ? undefined : entryRight();
    if (closed !== undefined && right === undefined) throw cannotEnter(closed, user);
    // Without the securebit access(2), by which PostgreSQL looks for its programs, ignores the right.
    if (closed !== undefined)
      rights.push('--securebits', '+no_setuid_fixup', '--inh-caps', `+${right}`, '--ambient-caps', `+${right}`);
    else if (closedDirectory(user, join(native, 'bin')) !== undefined) native = copyBinaries(native, copyPath);
  }
  return {
    spawn: (program, parameters, stdio) => {
      const binary = join(native, 'bin', program);
      if (setpriv === undefined) return spawn(binary, [...parameters], { ...common(stdio), ...user });
      const identity = user === undefined ? [] : ['--reuid', `${user.uid}`, '--regid', `${user.gid}`, '--clear-groups'];
      const wrapper = [...identity, ...rights, '--pdeathsig', 'INT', binary];
      return spawn(setpriv, [...wrapper, ...parameters], common(stdio));
    },
  };
}

/** An own session, so that Ctrl-C in the terminal reaches us and not the server; and none of our environment. */
function common(stdio: StdioOptions): { cwd: string; stdio: StdioOptions; detached: true; env: NodeJS.ProcessEnv } {
  return { cwd: '/', stdio, detached: true, env: { PATH: process.env['PATH'], TZ: 'UTC', LC_ALL: 'C' } };
}

/**
 * The right that lets the server's user pass a directory closed to it, such as a clone under `/root`. The weaker one
 * where we have it: containers usually leave root only the other (capabilities(7)).
 */
function entryRight(): 'dac_read_search' | 'dac_override' | undefined {
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0';
  const has = (bit: bigint): boolean => ((BigInt(`0x${effective}`) >> bit) & 1n) === 1n;
  const setPrivileges = 8n;
  if (!has(setPrivileges)) return undefined;
  if (has(2n)) return 'dac_read_search';
  return has(1n) ? 'dac_override' : undefined;
}

function cannotEnter(closed: string, user: ServerUser): EnclaveManagerError {
  return new EnclaveManagerError(
    'configuration',
    `embedded PostgreSQL runs as user ${user.uid}, who cannot enter ${closed} on the way to the data directory`,
    { hint: 'Set ENCLAVE_MANAGER_DATA_DIR to a directory elsewhere, such as /var/lib/enclave-manager.' },
  );
}
