import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const projectRoot = join(import.meta.dirname, '../..');

/** Prints what is loaded, one URL a line, when the process ends. */
const spy = `data:text/javascript,${encodeURIComponent(`
  import { registerHooks } from 'node:module';
  const loaded = [];
  registerHooks({ load: (url, context, next) => { loaded.push(url); return next(url, context); } });
  process.on('exit', () => console.error(loaded.join('\\n')));
`)}`;

function loadedFor(...args: string[]): { readonly text: string; readonly modules: readonly string[] } {
  const options = { encoding: 'utf8', cwd: projectRoot, env: { PATH: process.env['PATH'] } } as const;
  const run = spawnSync(process.execPath, ['--import', spy, join(projectRoot, 'src/main.ts'), ...args], options);
  expect(run.status, run.stderr).toBe(0);
  const modules = run.stderr.split('\n').filter((url) => url.startsWith('file:'));
  return {
    text: run.stdout,
    modules: modules.map((url) => url.slice(url.indexOf(projectRoot) + projectRoot.length + 1)),
  };
}

// Every module takes about half a millisecond to find and load, and zod alone has a hundred.
describe('help', () => {
  it.each([['--help'], ['backup', '--help'], ['backup', 'create', '--help'], ['--version']])(
    'for %s %s %s loads neither zod, nor an adapter, nor an operation',
    (...args) => {
      const { text, modules } = loadedFor(...args);
      expect(text).toMatch(/Usage: |^\d+\.\d+\.\d+/);
      expect(modules).toContain('src/main.ts');
      expect(
        modules.filter((path) => path.startsWith('node_modules/') && !/\/(commander|croner)\//.test(path)),
      ).toEqual([]);
      const heavy = /^src\/(composition|operations|adapters\/(?!system\/clock)|pipeline|store|keys|format|http|server)/;
      expect(modules.filter((path) => heavy.test(path))).toEqual([]);
      expect(modules.length).toBeLessThan(110);
    },
  );

  it('is what the spy sees: a command that does something loads zod and its adapters', () => {
    const { modules } = loadedFor('config', 'show', '--json');
    expect(modules).toContain('src/composition.ts');
    expect(modules.some((path) => path.startsWith('node_modules/zod/'))).toBe(true);
  });
});
