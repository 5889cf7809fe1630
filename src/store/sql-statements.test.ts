import { describe, expect, it } from 'vitest';
import { splitStatements } from './sql-statements.ts';

describe('splitStatements', () => {
  it('splits at semicolons outside strings and comments', () => {
    const script =
      "-- first; comment\nCREATE TABLE a (b TEXT); -- not; this\nINSERT INTO c (d) VALUES ('it''s; -- text');\n";
    expect(splitStatements(script)).toEqual(['CREATE TABLE a (b TEXT)', "INSERT INTO c (d) VALUES ('it''s; -- text')"]);
  });

  it('finds nothing in a script of comments only', () => {
    expect(splitStatements('-- nothing yet\n')).toEqual([]);
  });

  it.each([
    ['a block comment', '/* x */ SELECT 1;'],
    ['a dollar quote', 'DO $$ BEGIN END $$;'],
    ['a quoted identifier', 'CREATE TABLE "a" (b TEXT);'],
    ['a string without its end', "INSERT INTO a VALUES ('b);"],
    ['a statement without its end', 'CREATE TABLE a (b TEXT)'],
    ['an empty statement', 'CREATE TABLE a (b TEXT);;'],
  ])('refuses %s', (_what, script) => {
    expect(() => splitStatements(script)).toThrow(SyntaxError);
  });
});
