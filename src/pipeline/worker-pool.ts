import type {
  StartWorker,
  WorkerEvent,
  WorkerRequest,
  WorkerResponses,
  WorkerSetup,
  WorkerThread,
} from './worker-protocol.ts';

/**
 * Gives requests to a few worker threads, in order, each thread one at a time. The first failure, or the signal,
 * ends every thread; no result of an ended pool is used.
 */
export class WorkerPool {
  readonly #threads: readonly WorkerThread[];
  readonly #signal: AbortSignal;
  readonly #onEvent: (event: WorkerEvent) => void;

  constructor(
    start: StartWorker,
    setup: WorkerSetup,
    options: { readonly threads: number; readonly signal: AbortSignal; readonly onEvent: (event: WorkerEvent) => void },
  ) {
    this.#threads = Array.from({ length: options.threads }, () => start(setup));
    this.#signal = options.signal;
    this.#onEvent = options.onEvent;
  }

  /** Performs all requests and resolves with their responses in the order of the requests. */
  async performAll<K extends WorkerRequest['kind']>(
    requests: readonly Extract<WorkerRequest, { kind: K }>[],
  ): Promise<WorkerResponses[K][]> {
    const responses: WorkerResponses[K][] = [];
    let next = 0;
    let stopped = false;
    const drive = async (thread: WorkerThread): Promise<void> => {
      while (!stopped && next < requests.length) {
        const index = next++;
        responses[index] = await thread.perform<K>(requests[index]!, this.#onEvent);
      }
    };
    const aborted = abortion(this.#signal);
    try {
      await Promise.race([aborted.promise, Promise.all(this.#threads.map(drive))]);
    } catch (error) {
      stopped = true;
      await this.close();
      throw error;
    } finally {
      aborted.forget();
    }
    return responses;
  }

  async close(): Promise<void> {
    await Promise.all(this.#threads.map((thread) => thread.terminate()));
  }
}

function abortion(signal: AbortSignal): { readonly promise: Promise<never>; readonly forget: () => void } {
  const { promise, reject } = Promise.withResolvers<never>();
  promise.catch(() => {});
  const onAbort = (): void => reject(signal.reason);
  if (signal.aborted) onAbort();
  else signal.addEventListener('abort', onAbort, { once: true });
  return { promise, forget: () => signal.removeEventListener('abort', onAbort) };
}
