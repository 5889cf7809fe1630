import { describe, expect, it } from 'vitest';
import { sqlLiteral } from './sql-literals.ts';

describe('a value of COPY text as an SQL literal', () => {
  it.each([
    ['text', '\\N', 'NULL'],
    ['text', '', "''"],
    ['text', 'NULL', "'NULL'"],
    ['text', "it's", "'it''s'"],
    ['text', '$$;--/*', "'$$;--/*'"],
    ['text', "a\\\\b'c", "E'a\\\\b''c'"],
    ['text', '\\\\N', "E'\\\\N'"],
    ['text', 'a\\n\\r\\t\\b\\f\\vb', "E'a\\n\\r\\t\\b\\f\\x0bb'"],
    ['jsonb', '{"a": "\\\\u0001\\\\n"}', 'E\'{"a": "\\\\u0001\\\\n"}\''],
    ['text[]', '{"a\\\\"b",NULL}', 'E\'{"a\\\\"b",NULL}\''],
    ['bytea', '\\\\x', "'\\x'::bytea"],
    ['bytea', '\\\\x00ff27', "'\\x00ff27'::bytea"],
    ['boolean', 't', 'TRUE'],
    ['boolean', 'f', 'FALSE'],
    ['int4', '-17', '-17'],
    ['int8', '-9223372036854775808', "'-9223372036854775808'"],
    ['float8', '-0', "'-0'"],
    ['float8', 'NaN', "'NaN'"],
    ['timestamptz', '0044-03-15 12:00:00+00 BC', "'0044-03-15 12:00:00+00 BC'"],
  ])('%s %j is %s', (type, value, literal) => {
    expect(sqlLiteral(type, value)).toBe(literal);
  });

  it.each([
    ['bytea', '00ff'],
    ['bytea', '\\\\x0'],
    ['bytea', "\\\\x00'"],
    ['bytea', '\\\\xFF'],
    ['boolean', 'true'],
    ['int8', '1; DROP TABLE users'],
    ['int4', ''],
    ['text', 'ends with \\'],
    ['text', '\\q'],
    ['text', "\\'"],
  ])('%s %j is damage, never SQL', (type, value) => {
    expect(() => sqlLiteral(type, value)).toThrow(expect.objectContaining({ code: 'damaged' }) as Error);
  });

  it('takes values of many megabytes', () => {
    const hex = '00'.repeat(8_000_000);
    expect(sqlLiteral('bytea', `\\\\x${hex}`).length).toBe(hex.length + "'\\x'::bytea".length);
    expect(sqlLiteral('text', '\\\\'.repeat(1_000_000)).length).toBe(2_000_003);
  });
});
