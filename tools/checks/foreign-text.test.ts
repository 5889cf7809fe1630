import { describe, expect, it } from 'vitest';
import { foreignText } from './foreign-text.ts';

const count = (...lines: string[]): number => foreignText([{ path: 'x', text: lines.join('\n') }]).length;

// Put together here, so that this file passes the check it tests.
const absolute = (...parts: string[]): string => ['', ...parts].join('/');
const host = (...labels: string[]): string => labels.join('.');

describe('text about one machine', () => {
  it('is found with file and line', () => {
    const text = `first\nsee ${absolute('home', 'someone', 'x')}\n`;
    expect(foreignText([{ path: 'docs/x.md', text }])).toEqual([
      { where: 'docs/x.md:2', what: `names a path of one machine: ${absolute('home', 'someone')}` },
    ]);
  });

  it('is a home directory, a registry or a place in one', () => {
    expect(count(`cd ${absolute('root', 'checkout')}`, `"${absolute('Users', 'someone')}"`)).toBe(2);
    expect(count(`https://${host('registry', 'npmjs', 'org')}/x`, host('nexus', 'example'))).toBe(2);
    expect(count(JSON.stringify({ resolved: 'x' }, null, 2))).toBe(1);
  });

  it('is not a relative path, a variable or a word', () => {
    expect(
      count(
        'src/work/x.ts',
        '~/root/x',
        '$HOME/home/x',
        'the registry of crash points',
        'registry.example.org/app',
        './home/x',
      ),
    ).toBe(0);
  });
});
