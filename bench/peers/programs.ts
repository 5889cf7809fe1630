import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

const wantedMajor = 18;

/** What the machine has of the programs that are compared, and what was missing. Nothing is installed here. */
export interface Programs {
  readonly found: Readonly<Record<string, string>>;
  readonly missing: readonly string[];
}

export function findPrograms(): Programs {
  const found: Record<string, string> = {};
  const missing: string[] = [];
  for (const name of ['pg_dump', 'pg_restore', 'psql']) {
    const [path, version] = ofMajor(name) ?? [];
    if (path === undefined) missing.push(`${name} of PostgreSQL ${wantedMajor}`);
    else if (name === 'pg_dump' && !compressesWithZstd(path)) missing.push(`zstd in ${name} ${version}`);
    else Object.assign(found, { [name]: path, [`${name} version`]: version });
  }
  for (const name of ['zstd', 'age', 'age-keygen', 'restic', 'bash']) {
    const path = onPath(name)[0];
    if (path === undefined) missing.push(name);
    else found[name] = path;
  }
  return { found, missing };
}

/** The first on the PATH of at least this major: older ones refuse a newer server. */
function ofMajor(name: string): readonly [path: string, version: string] | undefined {
  for (const path of onPath(name)) {
    const version = /(\d+)\.\d+/.exec(execFileSync(path, ['--version'], { encoding: 'utf8' }));
    if (Number(version?.[1]) >= wantedMajor) return [path, version![0]];
  }
  return undefined;
}

/** It says so before it looks for a server. */
function compressesWithZstd(dump: string): boolean {
  const parameters = ['-Fd', '--compress=zstd:1', '-f', '/nonexistent', '-h', '/nonexistent', 'nothing'];
  return !spawnSync(dump, parameters, { encoding: 'utf8' }).stderr.includes('does not support compression');
}

function onPath(name: string): string[] {
  const directories = (process.env['PATH'] ?? '').split(delimiter).filter((directory) => directory !== '');
  return directories.map((directory) => join(directory, name)).filter((path) => existsSync(path));
}
