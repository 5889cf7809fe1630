import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonicalJson, storableJson } from './canonical-json.ts';

const json = fc.jsonValue() as fc.Arbitrary<never>;

describe('canonicalJson', () => {
  it('sorts members by code units and writes no spaces', () => {
    expect(canonicalJson({ b: [1, { d: null, c: true }], a: 'x', B: 0.5, é: '' })).toBe(
      '{"B":0.5,"a":"x","b":[1,{"c":true,"d":null}],"é":""}',
    );
  });

  it('writes numbers as RFC 8785 does', () => {
    expect(canonicalJson([1e21, 1e-7, -0, 333333333.3333333, 4.5, 2e-3])).toBe(
      '[1e+21,1e-7,0,333333333.3333333,4.5,0.002]',
    );
  });

  it('refuses what JSON cannot hold', () => {
    expect(() => canonicalJson(Number.NaN)).toThrow(TypeError);
    expect(() => canonicalJson({ a: undefined as never })).toThrow(TypeError);
  });

  it('is the same text for every order of members, and parses back to the same value', () => {
    const check = fc.property(json, (value) => {
      const text = canonicalJson(value);
      expect(canonicalJson(reversed(JSON.parse(text)))).toBe(text);
      expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)));
    });
    fc.assert(check);
  });
});

describe('storableJson', () => {
  it('leaves no NUL and no unpaired surrogate anywhere', () => {
    const check = fc.property(fc.dictionary(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' })), (value) => {
      const text = canonicalJson(storableJson(value));
      expect(text.isWellFormed()).toBe(true);
      expect(text).not.toContain(String.raw`\u0000`);
    });
    fc.assert(check);
  });

  it('changes nothing else', () => {
    const check = fc.property(json, (value) => {
      const clean = storableJson(value);
      expect(storableJson(clean)).toEqual(clean);
    });
    fc.assert(check);
    expect(storableJson({ a: ['é', 1, null] })).toEqual({ a: ['é', 1, null] });
  });
});

function reversed(value: unknown): never {
  if (Array.isArray(value)) return value.map((item: unknown) => reversed(item)) as never;
  if (value === null || typeof value !== 'object') return value as never;
  const members = Object.entries(value).toReversed();
  return Object.fromEntries(members.map(([name, member]) => [name, reversed(member)])) as never;
}
