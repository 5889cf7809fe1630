import { describe, expect, it } from 'vitest';
import { copyFieldBytes, copyFieldText } from './copy-fields.ts';

describe('a field of COPY text', () => {
  it('is the text that it stands for', () => {
    expect(copyFieldText('smtp')).toBe('smtp');
    expect(copyFieldText(String.raw`a\\b\tc\nd\re\bf\fg\v\\N é`)).toBe('a\\b\tc\nd\re\bf\fg\v\\N é');
    for (const wrong of [String.raw`\x41`, String.raw`\N`, '\\']) {
      expect(() => copyFieldText(wrong)).toThrow(/which COPY text has not/);
    }
  });

  it('is the bytes that it stands for, or none', () => {
    expect(copyFieldBytes(String.raw`\\x00ff`)).toEqual(Buffer.from([0, 255]));
    expect(copyFieldBytes(String.raw`\\x`)).toEqual(Buffer.alloc(0));
    expect(copyFieldBytes(String.raw`\N`)).toBeUndefined();
    for (const wrong of [String.raw`\x00`, String.raw`\\x0`, String.raw`\\xFF`, '']) {
      expect(() => copyFieldBytes(wrong)).toThrow(/is no bytea/);
    }
  });
});
