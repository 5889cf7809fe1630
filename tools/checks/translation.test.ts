import { describe, expect, it } from 'vitest';
import { differentCommands } from './translation.ts';

const original = 'Start:\n\n```sh\nnpm ci && npm start   # stays up\n```\n\n```sh\nnpm test\n```\n';

describe('a translated page', () => {
  it('has the commands of the original and its own comments', () => {
    const translation = '開始:\n\n```sh\nnpm ci && npm start   # 起動したまま\n```\n\n```sh\nnpm test\n```\n';
    expect(differentCommands(original, translation, 'README.ja.md')).toEqual([]);
  });

  it('is reported where a command differs', () => {
    const problems = differentCommands(original, original.replace('npm test', 'npm t'), 'README.ja.md');
    expect(problems).toMatchObject([{ where: 'README.ja.md', what: expect.stringContaining('fenced block 2') }]);
  });

  it('is reported where a command is missing or one too many', () => {
    const [first = ''] = original.split('\n\n```sh\nnpm test');
    expect(differentCommands(original, first, 'README.ja.md')).toHaveLength(1);
    expect(differentCommands(first, original, 'README.ja.md')).toHaveLength(1);
  });
});
