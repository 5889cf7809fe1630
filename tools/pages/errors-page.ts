import { errorCodes } from '#errors/codes.ts';

/** `docs/errors.md`, from the table that the program itself uses. */
export function errorsPage(): string {
  const rows = Object.entries(errorCodes)
    .toSorted(([, a], [, b]) => a.exitCode - b.exitCode)
    .map(([code, facts]) => [facts.exitCode, `\`${code}\``, facts.httpStatus, facts.means, facts.hint]);
  return `# Errors and exit codes

Every failure has a code from this closed list, a message that names the thing and its value, and a hint that says what
to do. A command exits with the code's exit status and prints message and hint to stderr; with \`--json\` it prints
\`{"error":{"code","message","hint"}}\` to stdout. Where several causes apply, 10 to 22 win. Exit status 0 means done;
\`serve\` also exits with 0 when a signal stops it, and \`status\`, \`openability\` and
\`repository check\` with 1 when not all is well.

${table(['exit', 'code', 'HTTP', 'means', 'hint, unless the failure has a better one'], rows)}
This page is generated from \`src/errors/codes.ts\`: \`npm run docs:write\`.
`;
}

export function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const cell = (value: string | number): string => String(value).replaceAll('|', String.raw`\|`);
  const line = (cells: readonly (string | number)[]): string => `| ${cells.map(cell).join(' | ')} |\n`;
  return line(head) + line(head.map(() => '---')) + rows.map(line).join('');
}
