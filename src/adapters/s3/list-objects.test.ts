import { describe, expect, it } from 'vitest';
import { listAll } from './list-objects.ts';
import { Slots } from './slots.ts';

const modifiedAt = new Date(0);
const objects = (...keys: string[]) => keys.map((Key) => ({ Key, Size: 1, LastModified: modifiedAt }));
const page = (keys: readonly string[], next?: string) => ({
  $metadata: {},
  EncodingType: 'url' as const,
  IsTruncated: next !== undefined,
  ...(next === undefined ? {} : { NextContinuationToken: next }),
  Contents: objects(...keys),
});

describe('a listing', () => {
  it('is sorted by bytes, each key once, whatever the order of the store', async () => {
    const pages = [page(['root/b/x', 'root/a', 'root/b-c'], '1'), page(['root/a', 'root/B'])];
    const listed = await listAll('root/', '', async (token) => pages[token === undefined ? 0 : 1]!);
    expect(listed.map(({ key }) => key)).toEqual(['B', 'a', 'b-c', 'b/x']);
  });

  it('leaves out what is no object of ours, and decodes names', async () => {
    const keys = ['root/', 'other/a', 'root/%C3%A4', 'root/a+b', 'root/.hidden', 'root/chunks%2Fab%2Fx', 'root/c'];
    const listed = await listAll('root/', 'c', async () => page(keys));
    expect(listed.map(({ key }) => key)).toEqual(['c', 'chunks/ab/x']);
  });

  it('is refused where it is broken', async () => {
    await expect(listAll('', '', async () => page(['%zz']))).rejects.toThrow('cannot be decoded');
    let pages = 0;
    await expect(listAll('', '', async () => page(['no key'], String((pages += 1))))).rejects.toMatchObject({
      code: 'damaged',
    });
    expect(pages).toBe(40_001);
    await expect(listAll('', '', async () => page([], 'same'))).rejects.toMatchObject({
      code: 'repository-unreachable',
    });
    const nameless = { ...page([]), Contents: [{ Size: 1, LastModified: modifiedAt }] };
    await expect(listAll('', '', async () => nameless)).rejects.toThrow('without key');
  });
});

describe('slots', () => {
  it('let as many run at once as there are, failures included', async () => {
    const slots = new Slots(3);
    let running = 0;
    let most = 0;
    const work = async (index: number): Promise<number> => {
      running += 1;
      most = Math.max(most, running);
      await new Promise((resolve) => setImmediate(resolve));
      running -= 1;
      if (index % 4 === 0) throw new Error('failed');
      return index;
    };
    const outcomes = await Promise.allSettled(Array.from({ length: 20 }, (_, index) => slots.run(() => work(index))));
    expect([most, outcomes.filter(({ status }) => status === 'fulfilled').length]).toEqual([3, 15]);
  });
});
