import { describe, expect, it } from 'vitest';
import { commands } from '#cli/commands.ts';
import { errorCodes } from '#errors/codes.ts';
import { optionNames, options } from '#config/options.ts';
import { cliPage } from './cli-page.ts';
import { errorsPage, table } from './errors-page.ts';
import { generatedPages } from './generated-pages.ts';

describe('the page of errors', () => {
  it('has one row for every code, in the order of the exit codes', () => {
    const rows = errorsPage().matchAll(/^\| (\d+) \| `([a-z-]+)` \| (\d+) \|/gm);
    const found = [...rows].map(([, exitCode, code, httpStatus]) => ({ exitCode, code, httpStatus }));
    const expected = Object.entries(errorCodes).toSorted(([, a], [, b]) => a.exitCode - b.exitCode);
    expect(found).toEqual(
      expected.map(([code, facts]) => ({ code, exitCode: `${facts.exitCode}`, httpStatus: `${facts.httpStatus}` })),
    );
  });

  it('keeps a bar in a sentence out of the way of the columns', () => {
    expect(table(['a'], [['x | y']])).toBe(String.raw`| a |${'\n'}| --- |${'\n'}| x \| y |${'\n'}`);
  });
});

describe('the page of the command line', () => {
  const page = cliPage(commands);

  it('has every command with its help, and every setting', () => {
    const titles = [...page.matchAll(/^## (.*)$/gm)].map(([, title]) => title);
    const names = commands.map(({ noun, verb }) => (noun === null ? verb : `${noun} ${verb}`));
    expect(titles).toEqual(['Settings', ...names]);
    for (const name of optionNames) expect(page).toContain(`| \`${options[name].environment}\``);
  });

  it('links to a schema for every command', () => {
    const generated = generatedPages([]).map(({ path }) => path);
    const linked = [...page.matchAll(/\(schemas\/([a-z-]+\.json)\)/g)].map(([, file]) => `docs/schemas/${file}`);
    expect(linked).toHaveLength(commands.length);
    expect(generated).toEqual(expect.arrayContaining(linked));
  });
});
