import { describe, expect, it } from 'vitest';
import { jsonbText } from './jsonb-text.ts';

describe('jsonb as PostgreSQL writes it', () => {
  it.each([
    ['{"bb":1,"a":2,"é":3,"c":[]}', '{"a": 2, "c": [], "bb": 1, "é": 3}'],
    ['[ 1,\n"x" , null,true,{} ]', '[1, "x", null, true, {}]'],
    [
      '"\\u003c\\u00e9\\/\\u0001\\u001F\\b\\f\\n\\r\\t\\"\\\\\\u007f"',
      '"<é/\\u0001\\u001f\\b\\f\\n\\r\\t\\"\\\\\u007f"',
    ],
    ['{"a":1,"a":2}', '{"a": 2}'],
    ['{"__proto__":{"x":1},"10":1,"9":2}', '{"9": 2, "10": 1, "__proto__": {"x": 1}}'],
    ['123456789012345678901234567890.10', '123456789012345678901234567890.10'],
    ['1E+10', '10000000000'],
    ['1.50e1', '15.0'],
    ['1.5e3', '1500'],
    ['1E-7', '0.0000001'],
    ['-12e-1', '-1.2'],
    ['5e-1', '0.5'],
    ['-0', '0'],
    ['-0.0e1', '0'],
    ['-0.00', '0.00'],
    ['0e10', '0'],
  ])('%s is %s', (text, expected) => {
    expect(jsonbText(text)).toBe(expected);
  });

  it.each([
    '',
    '{',
    '[1,]',
    "{'a':1}",
    '01',
    '1e999999',
    `${'['.repeat(100_000)}${']'.repeat(100_000)}`,
    '"',
    '"\\"',
    '{"a"}',
    '{a:1}',
    '{"a":1,}',
    '[1 2]',
    '+1',
    '.5',
    '1.',
    'nul',
    '1 2',
    '{"a":1}}',
  ])('refuses %.40s', (text) => {
    expect(() => jsonbText(text)).toThrow(expect.objectContaining({ code: 'version-incompatible' }) as Error);
  });

  it('takes no key for another that was read before it', () => {
    const keys = ['\\', '"', '\n', '\t', 'a\\', 'a"', 'a\n', '\\n', '\\u0022', ''];
    // An object that begins as no other does is the only one whose keys the next of its kind is expected to have.
    const pairs = keys.flatMap((before) => keys.map((key) => ({ before, key })));
    for (const [index, { before, key }] of pairs.entries()) {
      const first = String(index);
      jsonbText(JSON.stringify({ [first]: 0, [`${first}!`]: 0, [before]: 'x' }));
      const text = jsonbText(JSON.stringify({ [first]: 0, [`${first}!`]: 0, [key]: 'e' }));
      expect(text).toContain(`${JSON.stringify(key)}: "e"`);
    }
  });

  it('reads strings with any end', () => {
    expect(jsonbText(String.raw`["\\", "\\\"", "\"", ""]`)).toBe(String.raw`["\\", "\\\"", "\"", ""]`);
  });
});
