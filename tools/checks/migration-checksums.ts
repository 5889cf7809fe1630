import { createHash } from 'node:crypto';
import type { Problem } from './problem.ts';
import type { ProjectFile } from './project-files.ts';

export const checksumsPath = 'src/store/migrations/checksums.txt';

/** A migration that may have run somewhere never changes: its checksum is written down once (`sha256sum -c` reads it). */
export function changedMigrations(files: readonly ProjectFile[]): Problem[] {
  const listed = listedChecksums(files);
  const present = migrations(files);
  const problems = [...listed.keys()]
    .filter((name) => !present.has(name))
    .map((name) => ({ where: checksumsPath, what: `${name} is gone; migrations ship for ever` }));
  for (const [name, checksum] of present) {
    const where = `src/store/migrations/${name}`;
    const known = listed.get(name);
    if (known === undefined) problems.push({ where, what: 'is not in checksums.txt; run npm run docs:write' });
    else if (known !== checksum) problems.push({ where, what: 'was changed; write a new migration instead' });
  }
  return problems;
}

/** The list with lines for new migrations; a line that is there stays as it is. */
export function completedChecksums(files: readonly ProjectFile[]): string {
  const checksums = new Map([...migrations(files), ...listedChecksums(files)]);
  return [...checksums]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, checksum]) => `${checksum}  ${name}\n`)
    .join('');
}

function migrations(files: readonly ProjectFile[]): Map<string, string> {
  const sql = files.filter(({ path }) => /^src\/store\/migrations\/[^/]+\.sql$/.test(path));
  return new Map(
    sql.map(({ path, text }) => [path.split('/').at(-1) ?? path, createHash('sha256').update(text).digest('hex')]),
  );
}

function listedChecksums(files: readonly ProjectFile[]): Map<string, string> {
  const lines = files.find(({ path }) => path === checksumsPath)?.text.split('\n') ?? [];
  return new Map(
    lines
      .filter((line) => line !== '')
      .map((line) => {
        const [checksum = '', name = ''] = line.split('  ', 2);
        return [name, checksum];
      }),
  );
}
