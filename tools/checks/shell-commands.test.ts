import { describe, expect, it } from 'vitest';
import { commandsIn, shownCommands } from './shell-commands.ts';

const wordsIn = (text: string) => shownCommands({ path: 'a.md', text });

describe('commands in pages', () => {
  it('are found in shell blocks, over continued lines, and in inline code', () => {
    expect(wordsIn('Do `ls -l`:\n\n```sh\nhelm install r \\\n  --set a=b\n```\n\n```text\nls\n```\n')).toEqual([
      { where: 'a.md:1', words: ['ls', '-l'] },
      { where: 'a.md:4', words: ['helm', 'install', 'r', '--set', 'a=b'] },
    ]);
  });

  it('are split as a shell splits them', () => {
    expect(commandsIn(`a 'b c' "d e"f | g && h; i # j`)).toEqual([['a', 'b c', 'd ef'], ['g'], ['h'], ['i']]);
    expect(commandsIn('cp $(kubectl get pod -o name | cut -d/ -f2):/x y')).toEqual([
      ['cp'],
      ['kubectl', 'get', 'pod', '-o', 'name'],
      ['cut', '-d/', '-f2'],
      [':/x', 'y'],
    ]);
  });

  it('have placeholders for words, and redirections for ends', () => {
    expect(commandsIn('create --key=<key id> <host>.key < backup.sql')).toEqual([
      ['create', '--key=key-id', 'host.key'],
      ['backup.sql'],
    ]);
  });

  it('keep a backslash in quotes, and lose one outside', () => {
    expect(commandsIn(`--set a='0 0\\,12 * * *'`)).toEqual([['--set', 'a=0 0\\,12 * * *']]);
    expect(commandsIn('--set a=1\\,2')).toEqual([['--set', 'a=1,2']]);
  });
});
