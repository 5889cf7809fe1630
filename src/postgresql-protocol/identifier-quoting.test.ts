import { expect, it } from 'vitest';
import { quoteColumns, quoteIdentifier, quoteLiteral, quoteTable } from './identifier-quoting.ts';

it('keeps any name a name', () => {
  expect(quoteIdentifier('a"; DROP TABLE b; --')).toBe('"a""; DROP TABLE b; --"');
  expect([quoteTable('Audit'), quoteColumns(['a', 'B c'])]).toEqual(['public."Audit"', '"a", "B c"']);
  expect(() => quoteIdentifier('a\0')).toThrow(TypeError);
});

it('keeps any text a text, whatever the server makes of backslashes', () => {
  expect(quoteLiteral("it's")).toBe("'it''s'");
  expect(quoteLiteral(String.raw`\'; --`)).toBe(String.raw` E'\\''; --'`);
  expect(() => quoteLiteral('\0')).toThrow(TypeError);
});
