/**
 * Splits a migration into its statements, without comments and closing semicolons. Knows single-quoted strings and
 * `--` comments; refuses what it does not know (block comments, dollar quotes, quoted identifiers).
 */
export function splitStatements(script: string): string[] {
  const pieces = tokens(script);
  const statements: string[] = [];
  let statement = '';
  for (const piece of pieces) {
    if (piece === ';') {
      statements.push(statement.trim());
      statement = '';
    } else if (!piece.startsWith('--')) {
      statement += piece;
    }
  }
  if (statement.trim() !== '') throw new SyntaxError(`statement without a closing semicolon: ${excerpt(statement)}`);
  if (statements.includes('')) throw new SyntaxError('empty statement');
  return statements;
}

const tokenPattern = /--[^\n]*|'(?:[^']|'')*'|;|[^'"$;/-]+|[-/]/y;

function tokens(script: string): string[] {
  const found: string[] = [];
  tokenPattern.lastIndex = 0;
  for (let at = 0; at < script.length; at = tokenPattern.lastIndex) {
    const token = tokenPattern.exec(script)?.[0];
    if (token === undefined || script.startsWith('/*', at)) {
      throw new SyntaxError(`not in the SQL that migrations may use: ${excerpt(script.slice(at))}`);
    }
    found.push(token);
  }
  return found;
}

export const excerpt = (text: string): string => text.trim().replaceAll(/\s+/g, ' ').slice(0, 60);
