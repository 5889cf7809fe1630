import type { Problem } from './problem.ts';

/** The fenced blocks of a translated page must be those of the original; comments in them may be translated. */
export function differentCommands(original: string, translation: string, path: string): Problem[] {
  const ours = fencedBlocks(translation);
  const theirs = fencedBlocks(original);
  const count = Math.max(ours.length, theirs.length);
  return Array.from({ length: count }, (_, index) => index)
    .filter((index) => ours[index] !== theirs[index])
    .map((index) => {
      const expected = theirs[index] ?? 'no further block';
      return { where: path, what: `fenced block ${index + 1} is not that of the original, which is:\n${expected}` };
    });
}

function fencedBlocks(text: string): string[] {
  return [...text.matchAll(/^```([^\n]*)\n([\s\S]*?)^```/gm)].map(([, language = '', body = '']) => {
    const lines = body.split('\n').map((line) => line.replace(/(^|\s+)#\s.*$/, '').trimEnd());
    return [language.trim(), ...lines.filter((line) => line !== '')].join('\n');
  });
}
