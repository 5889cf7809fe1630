import { describe, expect, it } from 'vitest';
import { colourStyle } from './style.ts';
import { wrapLines } from './wrap-lines.ts';

describe('wrapLines', () => {
  it('breaks a long line between words, and leaves what fits', () => {
    expect(wrapLines('short\n\none two three four five six\n', 20)).toBe('short\n\none two three four\nfive six\n');
    expect(wrapLines('x'.repeat(20), 20)).toBe('x'.repeat(20));
  });

  it('goes on below the value of a field, below an indented line, and in a table', () => {
    expect(wrapLines('Label  one two three four', 20)).toBe('Label  one two three\n       four');
    expect(wrapLines('  one two three four five', 20)).toBe('  one two three four\n  five');
    expect(wrapLines('ID     KIND      ROWS', 20)).toBe('ID     KIND\n       ROWS');
    // A label that takes the most of the line.
    expect(wrapLines('one two three  four five', 20)).toBe('one two three  four\nfive');
  });

  it('does not count colours, and counts wide characters twice', () => {
    const bold = colourStyle.bold('one two three four');
    expect(wrapLines(`${bold} five`, 20)).toBe(`${bold}\nfive`);
    expect(wrapLines(`${bold} x`, 20)).toBe(`${bold} x`);
    expect(wrapLines('東京 大阪 名古屋 福岡', 20)).toBe('東京 大阪 名古屋\n福岡');
  });

  it('leaves a word that is longer than a line for the terminal', () => {
    expect(wrapLines(`a ${'x'.repeat(30)} b`, 20)).toBe(`a\n${'x'.repeat(30)}\nb`);
  });

  it('keeps a command in one piece, however the program is started', () => {
    const programs = ['./bin/enclave-manager.mjs', "kubectl exec 'a b' -- em"];
    expect(wrapLines('Then run this: ./bin/enclave-manager.mjs node evict NODE-1, and wait.', 30, programs)).toBe(
      'Then run this:\n./bin/enclave-manager.mjs node evict NODE-1,\nand wait.',
    );
    expect(wrapLines("So: kubectl exec 'a b' -- em node enrol --token-file - is it", 20, programs)).toBe(
      "So:\nkubectl exec 'a b' -- em node enrol --token-file -\nis it",
    );
    const whole = '  ./bin/enclave-manager.mjs restore run latest --node-name some-host';
    expect(wrapLines(whole, 20, programs)).toBe(whole);
  });

  it('makes no line of nothing, at whatever width', () => {
    expect(wrapLines('one two three', 0)).toBe('one two three');
    expect(wrapLines(`${' '.repeat(30)}one two`, 20)).toBe(`${' '.repeat(30)}one\n${' '.repeat(30)}two`);
  });
});
