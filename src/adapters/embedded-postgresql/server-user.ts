import { chownSync, readFileSync, statSync, type Stats } from 'node:fs';
import { dirname } from 'node:path';
import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';

/** PostgreSQL refuses to run as root; started by root, it runs as this user instead. */
export interface ServerUser {
  readonly uid: number;
  readonly gid: number;
}

/** `undefined`: as whoever we are. For root: who owns the directory or its parent, else `postgres`, else `nobody`. */
export function chooseServerUser(directory: string): ServerUser | undefined {
  if (process.getuid?.() !== 0) return undefined;
  for (const path of [directory, dirname(directory)]) {
    const found = statOrUndefined(path);
    if (found !== undefined && found.uid !== 0) return { uid: found.uid, gid: found.gid };
  }
  const user = findUser('postgres') ?? findUser('nobody');
  if (user !== undefined) return user;
  throw new EnclaveManagerError(
    'configuration',
    'embedded PostgreSQL does not run as root, and there is no user "postgres" or "nobody"',
    {
      hint: 'Run as an ordinary user, or give the data directory to one.',
    },
  );
}

export function giveTo(user: ServerUser | undefined, path: string): void {
  if (user !== undefined) chownSync(path, user.uid, user.gid);
}

/** The directory on the way to `path` that the user may not enter; `undefined` where the way is free. */
export function closedDirectory(user: ServerUser, path: string): string | undefined {
  const above = dirname(path);
  if (above !== path) {
    const closed = closedDirectory(user, above);
    if (closed !== undefined) return closed;
  }
  const found = statOrUndefined(path);
  return found === undefined || !found.isDirectory() || mayEnter(user, found) ? undefined : path;
}

function mayEnter(user: ServerUser, directory: Stats): boolean {
  if (directory.uid === user.uid) return (directory.mode & 0o100) !== 0;
  if (directory.gid === user.gid) return (directory.mode & 0o010) !== 0;
  return (directory.mode & 0o001) !== 0;
}

function statOrUndefined(path: string): Stats | undefined {
  return statSync(path, { throwIfNoEntry: false });
}

/** passwd(5). */
function findUser(name: string): ServerUser | undefined {
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((each) => each.startsWith(`${name}:`));
  const [, , uid, gid] = line?.split(':') ?? [];
  return uid === undefined || gid === undefined ? undefined : { uid: Number(uid), gid: Number(gid) };
}
