import type { Problem } from './problem.ts';
import type { ProjectFile } from './project-files.ts';

/** Generated files must be what the generator makes now; a schema that no command has any more must go. */
export function outdatedPages(files: readonly ProjectFile[], generated: readonly ProjectFile[]): Problem[] {
  const present = new Map(files.map(({ path, text }) => [path, text]));
  const wanted = new Set(generated.map(({ path }) => path));
  const orphans = [...present.keys()].filter((path) => path.startsWith('docs/schemas/') && !wanted.has(path));
  return [
    ...generated
      .filter(({ path, text }) => present.get(path) !== text)
      .map(({ path }) => ({ where: path, what: 'is not what the code says; run npm run docs:write' })),
    ...orphans.map((where) => ({ where, what: 'no command has this schema; delete it' })),
  ];
}
