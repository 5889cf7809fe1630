import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { WorkerPool } from './worker-pool.ts';
import type { StartWorker, WorkerEvent, WorkerRequest, WorkerResponses } from './worker-protocol.ts';

type Check = Extract<WorkerRequest, { kind: 'check-chunks' }>;
type Answer = (name: string) => Promise<void>;

const setup = { keys: [] };
const named = (name: string): Check => ({
  kind: 'check-chunks',
  chunks: [{ id: name, rows: 1, rowBytes: 1, object: { name, sizeBytes: 1, sha256: '' } }],
});
const names = (responses: readonly WorkerResponses['check-chunks'][]): string[] =>
  responses.flatMap(({ read }) => read);

/** Threads that answer a request with its name when `answer` lets them. */
function fakeThreads(answer: Answer) {
  const log = { started: 0, ended: 0, busy: 0, mostBusy: 0, asked: [] as string[] };
  const start: StartWorker = () => {
    log.started += 1;
    let reject: (error: Error) => void = () => {};
    return {
      perform: async (request, onEvent) => {
        const { name } = (request as unknown as Check).chunks[0]!.object;
        log.asked.push(name);
        log.mostBusy = Math.max(log.mostBusy, (log.busy += 1));
        const ended = new Promise<never>((_, no) => (reject = no));
        await Promise.race([ended, answer(name)]).finally(() => (log.busy -= 1));
        onEvent({ event: 'bytes', count: 1 });
        return { read: [name], bad: [] } as never;
      },
      terminate: async () => {
        log.ended += 1;
        reject(new Error('ended in the middle of its work'));
      },
    };
  };
  return { start, log };
}

function makePool(answer: Answer, options: { threads?: number; signal?: AbortSignal } = {}) {
  const { start, log } = fakeThreads(answer);
  const events: WorkerEvent[] = [];
  const { threads = 2, signal = new AbortController().signal } = options;
  const pool = new WorkerPool(start, setup, { threads, signal, onEvent: (event) => events.push(event) });
  return { pool, log, events };
}

const requests = ['a', 'b', 'c', 'd', 'e'].map(named);

describe('a worker pool', () => {
  it('answers in the order of the requests, whichever thread was faster', async () => {
    const { pool, log, events } = makePool(async (name) => {
      for (let turns = name === 'a' ? 20 : 1; turns > 0; turns -= 1) await turn();
    });

    expect(names(await pool.performAll(requests))).toEqual(['a', 'b', 'c', 'd', 'e']);

    expect(log).toMatchObject({ started: 2, mostBusy: 2, ended: 0 });
    expect(events).toHaveLength(5);
    await pool.close();
    expect(log.ended).toBe(2);
  });

  it('can be used again, and needs nothing to do', async () => {
    const { pool } = makePool(async () => {});
    expect(await pool.performAll([])).toEqual([]);
    expect(names(await pool.performAll(requests.slice(0, 1)))).toEqual(['a']);
    expect(names(await pool.performAll(requests.slice(1, 2)))).toEqual(['b']);
  });

  it('ends every thread at the first failure, and begins nothing more', async () => {
    const failure = new Error('damaged');
    const { pool, log } = makePool(async (name) => {
      if (name === 'b') throw failure;
      await new Promise(() => {});
    });

    await expect(pool.performAll(requests)).rejects.toBe(failure);

    expect(log).toMatchObject({ ended: 2, asked: ['a', 'b'] });
  });

  it('ends every thread when it is aborted, with the reason of the signal', async () => {
    const controller = new AbortController();
    const reason = new Error('interrupted');
    const { pool, log } = makePool(() => new Promise(() => {}), { signal: controller.signal });
    const running = pool.performAll(requests);
    await turn();

    controller.abort(reason);

    await expect(running).rejects.toBe(reason);
    expect(log).toMatchObject({ ended: 2, busy: 0, asked: ['a', 'b'] });
  });

  it('does not wait where the signal was aborted before', async () => {
    const reason = new Error('interrupted');
    const { pool, log } = makePool(() => new Promise(() => {}), { signal: AbortSignal.abort(reason) });
    await expect(pool.performAll(requests)).rejects.toBe(reason);
    expect(log.ended).toBe(2);
  });
});
