import { describe, expect, it } from 'vitest';
import { readClusterKey } from './cluster-key.ts';

const read = (text: string | undefined) => readClusterKey({ arguments: {}, options: { 'cluster-key': text } });

describe('readClusterKey', () => {
  it('takes what a recovery line has, and nothing where nothing was typed', () => {
    const fingerprint = 'sha256:uelUkSeEZnGrGWUhARLsJ_W91AnNXdQ44ngSV_Up0gg';
    expect([read(fingerprint), read(undefined)]).toEqual([fingerprint, undefined]);
  });

  it.each([
    ['another word', 'foo'],
    ['nothing', ''],
    ['the key without its name', 'uelUkSeEZnGrGWUhARLsJ_W91AnNXdQ44ngSV_Up0gg'],
    ['a part of it', 'sha256:uelUkSeEZnGrGWUhARLsJ_W91AnNXdQ44ngSV_Up0g'],
    ['too much', 'sha256:uelUkSeEZnGrGWUhARLsJ_W91AnNXdQ44ngSV_Up0gg,'],
    ['hex', `sha256:${'0a'.repeat(32)}`],
  ])('calls %s wrong usage and says where the key is found', (_, text) => {
    expect(() => read(text)).toThrow(
      expect.objectContaining({ code: 'usage', exitCode: 2, hint: expect.stringContaining('recovery line') as string }),
    );
  });
});
