/** Composition root of the worker threads: opens the adapters that a job names and performs requests one at a time. */
import { parentPort, workerData } from 'node:worker_threads';
import { DirectoryStore } from '#adapters/filesystem/directory-store.ts';
import * as cockroachdbReader from '#adapters/cockroachdb/row-reader.ts';
import * as cockroachdbWriter from '#adapters/cockroachdb/row-writer.ts';
import * as postgresqlReader from '#adapters/postgresql/row-reader.ts';
import * as postgresqlWriter from '#adapters/postgresql/row-writer.ts';
import { systemRandomness } from '#adapters/system/randomness.ts';
import { WorkerLoop } from '#pipeline/worker-loop.ts';
import type { WorkerRequest, WorkerSetup } from '#pipeline/worker-protocol.ts';

// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- The main thread starts this file with a setup and nothing else.
const setup = workerData as WorkerSetup;
const engines = {
  postgresql: { ...postgresqlReader, ...postgresqlWriter },
  cockroachdb: { ...cockroachdbReader, ...cockroachdbWriter },
};
const loop = new WorkerLoop(
  setup,
  {
    randomness: systemRandomness,
    openStore: async (connection) => {
      if (connection.kind === 'directory') return new DirectoryStore(connection.path);
      const { S3Store } = await import('#adapters/s3/s3-store.ts');
      return new S3Store(connection);
    },
    openReader: (connection, snapshotToken) => engines[connection.engine].openRowReader(connection, snapshotToken),
    openWriter: (connection) => engines[connection.engine].openRowWriter(connection),
  },
  (message) => parentPort?.postMessage(message),
);
parentPort?.on('message', (request: WorkerRequest) => void loop.handle(request));
