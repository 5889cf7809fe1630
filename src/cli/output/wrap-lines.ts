import { textWidth } from './table.ts';

const narrowest = 20;
const labelled = /^\s*\S.*?\s{2,}(?=\S)/;
// Of a character that no text has.
const kept = '\uE000';
const words =
  String.raw`(?:serve|status|openability|(?:backup|restore|node|keys|repository|database|audit|config) [a-z-]+)` +
  String.raw`(?: (?:latest|-(?=\s|$)|--[a-z][a-z-]*|[A-Z0-9]\S*|sha256:\S+))*`;

/**
 * Breaks the lines that a terminal would break inside words, and goes on below where the value of a `label   value` line
 * begins. What `programs` start stays on one line, and a line that is such a command stays as it is: both are copied and run.
 */
export function wrapLines(text: string, columns: number, programs: readonly string[] = []): string {
  const width = Math.max(narrowest, columns);
  return text
    .split('\n')
    .map((line) => {
      const isCommand = programs.some((program) => line.trimStart().startsWith(`${program} `));
      return isCommand || visibleWidth(line) <= width ? line : wrapLine(keepWhole(line, programs), width);
    })
    .join('\n')
    .replaceAll(kept, ' ');
}

function wrapLine(line: string, width: number): string {
  const label = labelled.exec(line)?.[0] ?? '';
  const indent = visibleWidth(label) > 0 && visibleWidth(label) <= width / 2 ? label : /^\s*/.exec(line)![0];
  const hanging = ' '.repeat(visibleWidth(indent));
  const lines: string[] = [];
  let current = '';
  let taken = 0;
  for (const [piece, , word] of line.matchAll(/(\s*)(\S+)/g)) {
    const fits = taken + visibleWidth(piece) <= width;
    if (!fits && current.trim() !== '') lines.push(current);
    const goesOn = fits || current.trim() === '';
    current = goesOn ? current + piece : hanging + word!;
    taken = goesOn ? taken + visibleWidth(piece) : visibleWidth(current);
  }
  return [...lines, current].join('\n');
}

function keepWhole(line: string, programs: readonly string[]): string {
  return programs.reduce(
    (text, program) =>
      text.replaceAll(new RegExp(`${RegExp.escape(program)} ${words}`, 'g'), (command) =>
        command.replaceAll(' ', kept),
      ),
    line,
  );
}

/** Colours take no place. */
const visibleWidth = (text: string): number => textWidth(text.replaceAll(/\p{Cc}\[\d+m/gu, ''));
