/** `"a""b"`: any name is safe inside SQL text. */
export function quoteIdentifier(name: string): string {
  if (name.includes('\0')) throw new TypeError('an SQL identifier cannot hold a NUL byte');
  return `"${name.replaceAll('"', '""')}"`;
}

/** An SQL string literal that means the same whatever standard_conforming_strings is. */
export function quoteLiteral(text: string): string {
  if (text.includes('\0')) throw new TypeError('an SQL string cannot hold a NUL byte');
  const quoted = `'${text.replaceAll("'", "''").replaceAll('\\', '\\\\')}'`;
  return text.includes('\\') ? ` E${quoted}` : quoted;
}

/** A table of the schema `public`, whatever the search path is. */
export function quoteTable(table: string): string {
  return `public.${quoteIdentifier(table)}`;
}

export function quoteColumns(columns: readonly string[]): string {
  return columns.map(quoteIdentifier).join(', ');
}
