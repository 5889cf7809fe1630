import type { Problem } from './problem.ts';
import type { ProjectFile } from './project-files.ts';

/** `npm run test:as-root` names files by the beginning of their path; one that names nothing would test nothing. */
export function missingRootTests(files: readonly ProjectFile[]): Problem[] {
  const text = files.find(({ path }) => path === 'package.json')?.text ?? '{}';
  const { scripts } = JSON.parse(text) as { scripts?: Record<string, string> };
  const places = scripts?.['test:as-root']?.split(' ').filter((word) => word.includes('/')) ?? [];
  const tests = files.map(({ path }) => path).filter((path) => path.endsWith('.test.ts'));
  const missing = places.filter((place) => !tests.some((path) => path.startsWith(place)));
  if (places.length === 0) return [{ where: 'package.json', what: 'test:as-root names no tests' }];
  return missing.map((place) => ({ where: 'package.json', what: `test:as-root names ${place}, where no test is` }));
}
