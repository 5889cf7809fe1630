import type { Problem } from './problem.ts';
import type { ProjectFile } from './project-files.ts';

const patterns: readonly (readonly [what: string, pattern: RegExp])[] = [
  ['a path of one machine', /(?<![\w.}~*-])\/(?:root|work|home|Users)\/[\w.-]+/],
  [
    'a package registry',
    /\bregistry\.(?!example\b)[a-z0-9-]+\.[a-z]|\b[\w.-]*(?:artifactory|verdaccio|nexus)[\w-]*\.[a-z]|\bnpmjs\.org\b/i,
  ],
  ['a place in a registry', /^\s*"resolved":/],
];

/** Nothing in the project may depend on, or tell about, the machine it was written on. */
export function foreignText(files: readonly ProjectFile[]): Problem[] {
  const problems: Problem[] = [];
  for (const { path, text } of files) {
    for (const [index, line] of text.split('\n').entries()) {
      for (const [what, pattern] of patterns) {
        const found = pattern.exec(line);
        if (found !== null) problems.push({ where: `${path}:${index + 1}`, what: `names ${what}: ${found[0].trim()}` });
      }
    }
  }
  return problems;
}
