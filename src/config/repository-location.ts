import { fileURLToPath } from 'node:url';
import { OptionProblem, type Place } from './option.ts';
import { parsePath } from './values.ts';

export type RepositoryLocation = { readonly kind: 'none' } | { readonly kind: 'directory'; readonly path: string };

export function parseRepository(text: string, place: Place): RepositoryLocation {
  if (text === 'none') return { kind: 'none' };
  if (text === '') {
    throw new OptionProblem('is empty', 'Name a directory, or say none to run without backups, or unset it.');
  }
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]*):/.exec(text)?.[1]?.toLowerCase();
  if (scheme === undefined) return { kind: 'directory', path: parsePath(text, place) };
  if (scheme === 'file') return { kind: 'directory', path: parsePath(pathOfFileUrl(text), place) };
  if (scheme === 's3') {
    throw new OptionProblem(
      'is object storage, and this version stores in directories only',
      'Use file:///directory, for example a mounted volume that is not on the disk of the database.',
    );
  }
  throw new OptionProblem(`has the unknown scheme ${scheme}`, 'Use a directory, file:///directory, or none.');
}

function pathOfFileUrl(text: string): string {
  try {
    return fileURLToPath(new URL(text));
  } catch {
    throw new OptionProblem(
      'is not a file URL of this host',
      'Write it with three slashes and an absolute path: file:///var/backups/malbork.',
    );
  }
}

/** Credentials do not belong into a location; where they stand there, they are not shown. */
export const maskUserOfUrl = (text: string): string => text.replace(/\/\/[^/@]*@/, '//***@');
