import { describe, expect, it } from 'vitest';
import { brokenLinks } from './links.ts';

const broken = (readme: string): string[] =>
  brokenLinks([
    { path: 'README.md', text: readme },
    { path: 'docs/guide.md', text: '# The guide\n\n## What is `new`?\n\n## Again\n\n## Again\n' },
    { path: 'src/main.ts', text: '' },
  ]).map(({ where, what }) => `${where}: ${what}`);

describe('links in Markdown', () => {
  it('may lead to files, directories, headings and other sites', () => {
    expect(broken('[a](docs/guide.md) [b](src) [c](docs/) [d](https://example.org/x) [e](<src/main.ts>)')).toEqual([]);
    expect(broken('[a](docs/guide.md#the-guide) [b](docs/guide.md#what-is-new) [c](docs/guide.md#again-1)')).toEqual(
      [],
    );
  });

  it('must not lead to what is not there', () => {
    expect(broken('one\n[a](docs/gone.md)')).toEqual(['README.md:2: there is no docs/gone.md']);
    expect(broken('[a](docs/guide.md#gone)')).toEqual(['README.md:1: docs/guide.md has no heading #gone']);
    expect(broken('[a](#gone)')).toEqual(['README.md:1: README.md has no heading #gone']);
  });

  it('must stay inside the project', () => {
    expect(broken('[a](../other/README.md)')).toEqual(['README.md:1: there is no ../other/README.md']);
  });

  it('in code are not links', () => {
    expect(broken('```\n[a](gone.md)\n```\n`[a](gone.md)`')).toEqual([]);
  });
});
