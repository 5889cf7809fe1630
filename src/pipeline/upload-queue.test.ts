import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { UploadQueue } from './upload-queue.ts';

function upload() {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  return { run: () => promise, end: resolve, fail: reject };
}

describe('an upload queue', () => {
  it('takes as many uploads at once as its limit, and another when one has ended', async () => {
    const queue = new UploadQueue(2);
    const [first, second] = [upload(), upload()];
    expect(queue.ready()).toBeUndefined();
    queue.add(first.run);
    expect(queue.ready()).toBeUndefined();
    queue.add(second.run);
    let ready = false;
    const waiting = queue.ready()?.then(() => (ready = true));
    await turn();
    expect(ready).toBe(false);

    second.end();
    await waiting;

    expect(ready).toBe(true);
    expect(queue.ready()).toBeUndefined();
    first.end();
    await expect(queue.drain()).resolves.toBeUndefined();
  });

  it('is drained when every upload has ended', async () => {
    const queue = new UploadQueue(4);
    const uploads = [upload(), upload(), upload()];
    let drained = false;
    for (const each of uploads) queue.add(each.run);
    const draining = queue.drain().then(() => (drained = true));
    for (const each of uploads) {
      await turn();
      expect(drained).toBe(false);
      each.end();
    }
    await draining;
    expect(drained).toBe(true);
  });

  it('tells the first failure to whoever waits, then and later', async () => {
    const queue = new UploadQueue(2);
    const [first, second] = [upload(), upload()];
    queue.add(first.run);
    queue.add(second.run);
    const waiting = queue.ready();
    const failure = new Error('no space');
    second.fail(failure);
    await expect(waiting).rejects.toBe(failure);
    first.fail(new Error('later'));
    await expect(queue.drain()).rejects.toBe(failure);
    await expect(queue.ready()).rejects.toBe(failure);
  });

  it('never leaves a failure unhandled while nobody waits', async () => {
    const queue = new UploadQueue(2);
    queue.add(() => Promise.reject(new Error('at once')));
    await turn();
    await expect(queue.drain()).rejects.toThrow('at once');
  });
});
