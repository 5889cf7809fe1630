import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseBoundedJson } from './bounded-json.ts';

const ample = { maxValues: 1_000_000, maxDepth: 1000 };

function outcomeOf(parse: () => unknown): unknown {
  try {
    return { value: parse() };
  } catch (error) {
    return error;
  }
}

describe('parseBoundedJson', () => {
  it('is JSON.parse within its limits', () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        expect(parseBoundedJson(text, ample)).toEqual(JSON.parse(text));
      }),
    );
  });

  it('throws a SyntaxError and nothing else for any other text', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom('"', '\\', '[', ']', '{', '}', ',', ':', '1', 'a', ' ') }),
        (text) => {
          const ours = outcomeOf(() => parseBoundedJson(text, ample));
          expect(ours).toEqual(outcomeOf(() => JSON.parse(text) as unknown));
        },
      ),
    );
  });

  it('counts values outside of strings only', () => {
    const limits = { maxValues: 6, maxDepth: 2 };
    expect(parseBoundedJson('{"a,[{":[",,,\\"[[","\\\\"]}', limits)).toEqual({ 'a,[{': [',,,"[[', '\\'] });
    expect(() => parseBoundedJson('[1,2,3,4,5,6]', limits)).toThrow('more than 6 values');
    expect(() => parseBoundedJson('[[[1]]]', limits)).toThrow('nested deeper than 2');
  });

  it('refuses before it builds: what would fill gigabytes takes no memory', () => {
    const objects = `[${'{},'.repeat(20_000_000)}{}]`;
    const nested = '['.repeat(60_000_000);
    const before = process.memoryUsage().heapUsed;
    expect(() => parseBoundedJson(objects, ample)).toThrow('more than 1000000 values');
    expect(() => parseBoundedJson(nested, ample)).toThrow('nested deeper than 1000');
    // Flattening the repeated text counts too.
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(256 * 1024 * 1024);
  });
});
