import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export const projectRoot = join(import.meta.dirname, '../..');

/** A text file of the project; `path` is relative to its root, with forward slashes. */
export interface ProjectFile {
  readonly path: string;
  readonly text: string;
}

// What .gitignore leaves out: a check must also work where there is no git.
const leftOut = new Set(['.git', 'node_modules', 'data', 'coverage', '.DS_Store']);

/** Every text file below `root`, sorted by path. */
export function readProjectFiles(root: string): ProjectFile[] {
  const entries = listFiles(root, '');
  return entries.flatMap((path) => {
    const bytes = readFileSync(join(root, path));
    return bytes.includes(0) ? [] : [{ path, text: bytes.toString('utf8') }];
  });
}

function listFiles(root: string, directory: string): string[] {
  const entries = readdirSync(join(root, directory), { withFileTypes: true }).filter(({ name }) => !leftOut.has(name));
  return entries
    .flatMap((entry) => {
      const path = directory === '' ? entry.name : `${directory}/${entry.name}`;
      if (entry.isDirectory()) return listFiles(root, path);
      return entry.isFile() && !entry.name.endsWith('.log') ? [path] : [];
    })
    .toSorted();
}
