import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RowDigest, sumOfDigests } from './row-digest.ts';

/** COPY text: a newline byte never stands inside a row. */
const row = fc.stringMatching(/^[^\n]{0,20}$/);

const key = Buffer.from('a key of one comparison');

const digestOf = (rows: readonly string[], digestKey = key): string => {
  const digest = new RowDigest(digestKey);
  for (const each of rows) digest.addRow(Buffer.from(each));
  return digest.bytes().toString('hex');
};

describe('a row digest', () => {
  it('is the same in any order, and of text and single rows alike', () => {
    fc.assert(
      fc.property(fc.array(row), fc.array(fc.nat()), (rows, order) => {
        const shuffled = rows.map((each, index) => ({ each, at: order[index] ?? 0 })).toSorted((a, b) => a.at - b.at);
        const text = new RowDigest(key);
        expect(text.addRows(Buffer.from(rows.map((each) => `${each}\n`).join('')))).toBe(rows.length);
        expect(text.bytes().toString('hex')).toBe(digestOf(rows));
        expect(digestOf(shuffled.map(({ each }) => each))).toBe(digestOf(rows));
      }),
    );
  });

  it('is the sum of the digests of its parts, wherever they are divided', () => {
    fc.assert(
      fc.property(fc.array(row), fc.nat(), (rows, cut) => {
        const parts = [rows.slice(0, cut), rows.slice(cut)].map((part) => Buffer.from(digestOf(part), 'hex'));
        expect(sumOfDigests(parts).toString('hex')).toBe(digestOf(rows));
      }),
    );
  });

  it('differs when a row is changed, lost or doubled', () => {
    fc.assert(
      fc.property(fc.array(row, { minLength: 1 }), fc.nat(), (rows, number) => {
        const index = number % rows.length;
        const whole = digestOf(rows);
        expect(digestOf(rows.with(index, `${rows[index]}x`))).not.toBe(whole);
        expect(digestOf(rows.toSpliced(index, 1))).not.toBe(whole);
        expect(digestOf([...rows, rows[index]!])).not.toBe(whole);
      }),
    );
  });

  it('differs under another key, also where only that of a sum of many is looked at', () => {
    const rows = Array.from({ length: 100 }, (_, index) => `${index}\tvalue`);
    const other = Buffer.from('a key of another comparison');
    expect(digestOf(rows, other)).not.toBe(digestOf(rows));
    expect(digestOf([], other)).toBe(digestOf([]));
  });

  it('differs when two rows exchange a value', () => {
    expect(digestOf(['1\ta', '2\tb'])).not.toBe(digestOf(['1\tb', '2\ta']));
  });

  it('of one row is the SHA-256 of key and row, of none is zero', () => {
    for (const text of ['a\tb', '', 'long'.repeat(5000), 'short again']) {
      expect(digestOf([text])).toBe(createHash('sha256').update(key).update(text).digest('hex'));
    }
    expect(digestOf([])).toBe('00'.repeat(32));
  });

  it('counts a last row without its newline, and reads digests that begin inside a larger buffer', () => {
    const digest = new RowDigest(key);
    expect(digest.addRows(Buffer.from('a\n\nb'))).toBe(3);
    expect(digest.bytes().toString('hex')).toBe(digestOf(['a', '', 'b']));
    const shifted = Buffer.concat([Buffer.alloc(3), digest.bytes()]);
    const sum = new RowDigest(key);
    sum.addDigest(new Uint8Array(shifted.buffer, shifted.byteOffset + 3, 32));
    expect(sum.bytes()).toEqual(digest.bytes());
  });
});
