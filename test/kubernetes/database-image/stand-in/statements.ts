/**
 * CockroachDB's statements in PostgreSQL's words. Dropping a database there ends the sessions in it and needs `cascade`
 * where it has tables. Only lines that begin so are changed, so that text within values stays what it is.
 */
export function translate(line: string): string {
  if (!/^\s*drop\s+database\b/i.test(line)) return line;
  return line.replaceAll(/\b(drop\s+database\s+(?:if\s+exists\s+)?"?\w+"?)\s+cascade\b/gi, '$1 with (force)');
}
