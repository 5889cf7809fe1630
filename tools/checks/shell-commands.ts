import type { ProjectFile } from './project-files.ts';

/** A command that a page shows, as the words that a shell makes of it. */
export interface ShownCommand {
  readonly where: string;
  readonly words: readonly string[];
}

// Placeholders such as <key id> are words; a redirection has a space behind its sign.
const placeholder = /<([a-z][a-z0-9 -]*)>/gi;
const token = /(\s+)|(\|\|?|&&?|;|\$\(|\)|[<>]+)|((?:'[^']*'|"(?:[^"\\]|\\.)*"|\\.|[^\s|&;<>()'"\\])+)|./g;

/** Every command in the shell blocks and in the inline code of a page. Text in quotes stays one word. */
export function shownCommands({ path, text }: ProjectFile): ShownCommand[] {
  return codeLines(text).flatMap(({ line, code }) =>
    commandsIn(code).map((words) => ({ where: `${path}:${line}`, words })),
  );
}

/** The commands of one line: what pipes, lists and `$(…)` hold is each a command of its own. */
export function commandsIn(line: string): string[][] {
  const commands: string[][] = [[]];
  const named = line.replaceAll(placeholder, (_, name: string) => name.replaceAll(' ', '-'));
  for (const [, space, operator, word] of named.replace(/(^|\s)#\s.*$/, '').matchAll(token)) {
    if (space !== undefined) continue;
    if (operator === undefined) commands.at(-1)!.push(unquoted(word ?? ''));
    else commands.push([]);
  }
  return commands.filter((words) => words.length > 0);
}

const unquoted = (word: string): string =>
  word.replaceAll(/'([^']*)'|"((?:[^"\\]|\\.)*)"|\\(.)/g, (_, ...parts: (string | undefined)[]) =>
    parts.slice(0, 3).join(''),
  );

function codeLines(text: string): { line: number; code: string }[] {
  const found: { line: number; code: string }[] = [];
  let fence: string | undefined;
  let continued: { line: number; code: string } | undefined;
  for (const [index, content] of text.split('\n').entries()) {
    const [, opened] = /^```(.*)$/.exec(content) ?? [];
    if (opened !== undefined) fence = fence === undefined ? opened : undefined;
    else if (fence === undefined)
      found.push(...[...content.matchAll(/`([^`]+)`/g)].map(([, code = '']) => ({ line: index + 1, code })));
    else if (fence === 'sh') {
      const joined = { line: continued?.line ?? index + 1, code: `${continued?.code ?? ''}${content}` };
      continued = content.endsWith('\\') ? { ...joined, code: joined.code.slice(0, -1) } : undefined;
      if (continued === undefined) found.push(joined);
    }
  }
  return found;
}
