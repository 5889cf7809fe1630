import type { Problem } from './problem.ts';
import type { ProjectFile } from './project-files.ts';

const mayAsk = /^src\/(?:adapters|config)\/|^src\/(?:main|worker)\.ts$/;

/** `new Date()` without argument asks the machine for the time; rules take it from the clock port. */
export function ambientTime(files: readonly ProjectFile[]): Problem[] {
  const sources = files.filter(({ path }) => /^src\/.*\.ts$/.test(path) && !mayAsk.test(path));
  return sources.flatMap(({ path, text }) =>
    text.split('\n').flatMap((line, index) => {
      const asks = /\bDate\(\s*\)/.test(line.replace(/^\s*(?:\/\/|\*|\/\*).*$/, ''));
      return asks
        ? [{ where: `${path}:${index + 1}`, what: 'takes the time from the machine; use #ports/clock.ts' }]
        : [];
    }),
  );
}
