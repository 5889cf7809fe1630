import { EventEmitter } from 'node:events';
import type { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import type { FromWorker, WorkerEvent, WorkerRequest } from './worker-protocol.ts';
import { workerThread } from './worker-thread.ts';

const request = { kind: 'check-chunks', chunks: [] } as const;

class FakeWorker extends EventEmitter {
  readonly received: WorkerRequest[] = [];

  postMessage(message: WorkerRequest): void {
    this.received.push(message);
  }

  terminate(): Promise<number> {
    this.emit('exit', 1);
    return Promise.resolve(1);
  }

  answer(message: FromWorker): void {
    this.emit('message', message);
  }
}

function makeThread() {
  const worker = new FakeWorker();
  const events: WorkerEvent[] = [];
  const thread = workerThread(worker as unknown as Worker);
  return { worker, thread, events, perform: () => thread.perform(request, (event) => events.push(event)) };
}

describe('a worker thread', () => {
  it('passes events on and resolves with the response', async () => {
    const { worker, events, perform } = makeThread();
    const response = perform();
    worker.answer({ event: 'bytes', count: 3 });
    worker.answer({ event: 'done', response: { read: ['x'], bad: [] } });
    expect(await response).toEqual({ read: ['x'], bad: [] });
    expect(events).toEqual([{ event: 'bytes', count: 3 }]);
    expect(worker.received).toEqual([request]);
  });

  it('gives a failure its code, message and hint back', async () => {
    const { worker, perform } = makeThread();
    const response = perform();
    worker.answer({ event: 'failed', error: { code: 'no-space', message: 'full', hint: 'free some' } });
    await expect(response).rejects.toMatchObject({ code: 'no-space', message: 'full', hint: 'free some' });
  });

  it('takes one request at a time', async () => {
    const { perform } = makeThread();
    void perform().catch(() => {});
    await expect(perform()).rejects.toMatchObject({ code: 'unexpected' });
  });

  it.each(['exit', 'error'] as const)(
    'fails what it was doing, and whatever it is asked later, after its %s',
    async (event) => {
      const { worker, perform } = makeThread();
      const response = perform();
      worker.emit(event, new Error('out of memory'));
      await expect(response).rejects.toMatchObject({
        code: 'unexpected',
        message: expect.stringContaining('a worker thread'),
      });
      await expect(perform()).rejects.toMatchObject({ code: 'unexpected' });
    },
  );

  it('rejects what it was doing when it is terminated', async () => {
    const { thread, perform } = makeThread();
    const response = perform();
    await thread.terminate();
    await expect(response).rejects.toMatchObject({
      code: 'unexpected',
      message: expect.stringContaining('ended in the middle'),
    });
  });
});
