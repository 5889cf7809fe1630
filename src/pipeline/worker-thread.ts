import type { Worker } from 'node:worker_threads';
import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { FromWorker, WorkerEvent, WorkerThread } from './worker-protocol.ts';

interface Pending {
  /** Gets the response of the request that is pending, whose type only its caller knows. */
  readonly resolve: (response: never) => void;
  readonly reject: (error: unknown) => void;
  readonly onEvent: (event: WorkerEvent) => void;
}

/** The main thread's side of one worker. */
export function workerThread(worker: Worker): WorkerThread {
  let pending: Pending | undefined;
  let ended: EnclaveManagerError | undefined;
  const fail = (error: unknown): void => {
    pending?.reject(error);
    pending = undefined;
  };
  const end = (error: EnclaveManagerError): void => {
    ended ??= error;
    fail(error);
  };
  worker.on('message', (message: FromWorker) => {
    if (message.event === 'failed') {
      const { code, message: text, hint } = message.error;
      fail(new EnclaveManagerError(code, text, { hint }));
    } else if (message.event === 'done') {
      const finished = pending;
      pending = undefined;
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- A thread answers every request with its kind of response.
      finished?.resolve(message.response as never);
    } else pending?.onEvent(message);
  });
  worker.on('error', (error) =>
    end(new EnclaveManagerError('unexpected', `a worker thread failed: ${String(error)}`, { cause: error })),
  );
  worker.on('exit', () =>
    end(new EnclaveManagerError('unexpected', 'a worker thread ended in the middle of its work')),
  );
  return {
    perform: async (request, onEvent) => {
      // A thread that has ended answers nothing; without this the caller would wait for ever.
      if (ended !== undefined) throw ended;
      if (pending !== undefined)
        throw new EnclaveManagerError('unexpected', 'a worker thread was given two requests at once');
      return await new Promise((resolve, reject) => {
        pending = { resolve, reject, onEvent };
        worker.postMessage(request);
      });
    },
    terminate: async () => {
      await worker.terminate();
    },
  };
}
