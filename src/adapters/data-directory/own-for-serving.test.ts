import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import type { Clock } from '#ports/clock.ts';
import { ownForServing } from './own-for-serving.ts';
import { acquireDataDirectory, readDataDirectoryHolder } from './owner-lock.ts';

/** `onSleep` gets the milliseconds that have passed, before each pause. */
function waiting(onSleep: (elapsedMs: number) => void = () => {}) {
  const dataDirectory = mkdtempSync(join(tmpdir(), 'enclave-manager-own-'));
  onTestFinished(() => rmSync(dataDirectory, { recursive: true, force: true }));
  let elapsedMs = 0;
  const clock: Clock = {
    now: () => new Date(0),
    monotonicMs: () => elapsedMs,
    sleep: async (ms, signal) => {
      onSleep(elapsedMs);
      signal?.throwIfAborted();
      elapsedMs += ms;
    },
  };
  const logged: string[] = [];
  const controller = new AbortController();
  const options = { dataDirectory, clock, signal: controller.signal, log: (text: string) => void logged.push(text) };
  return { dataDirectory, options, logged, controller, elapsed: () => elapsedMs };
}

it('takes a free data directory at once, and says to others when it stops', async () => {
  const { options, controller, dataDirectory } = waiting();
  const lock = await ownForServing(options);
  expect(readDataDirectoryHolder(dataDirectory)).toEqual({ pid: process.pid, command: 'serve' });
  controller.abort();
  expect(readDataDirectoryHolder(dataDirectory)).toEqual({ pid: process.pid, command: 'serve, stopping' });
  lock.release();
  expect(readDataDirectoryHolder(dataDirectory)).toBeUndefined();
});

it.each(['backup create', 'serve, stopping'])('waits for "%s" and takes over from it', async (command) => {
  const { options, logged, dataDirectory } = waiting((elapsedMs) => elapsedMs === 3_000 && held.release());
  const held = acquireDataDirectory(dataDirectory, command);
  const lock = await ownForServing(options);
  expect(readDataDirectoryHolder(dataDirectory)).toMatchObject({ command: 'serve' });
  expect(logged).toEqual([
    `the data directory ${dataDirectory} is in use by process ${process.pid} (${command}); waiting for its end`,
  ]);
  lock.release();
});

it('gives up after fifteen seconds', async () => {
  const { options, elapsed, dataDirectory } = waiting();
  const held = acquireDataDirectory(dataDirectory, 'restore run');
  await expect(ownForServing(options)).rejects.toMatchObject({ code: 'data-directory-in-use', exitCode: 17 });
  expect(elapsed()).toBe(15_000);
  held.release();
});

it('does not wait beside a manager that serves', async () => {
  const { options, logged, elapsed, dataDirectory } = waiting();
  const held = acquireDataDirectory(dataDirectory, 'serve');
  await expect(ownForServing(options)).rejects.toMatchObject({ code: 'data-directory-in-use' });
  expect([elapsed(), logged]).toEqual([0, []]);
  held.release();
});

it('stops waiting when it is told to', async () => {
  const reason = new Error('stop');
  const { options, dataDirectory, controller } = waiting(
    (elapsedMs) => elapsedMs === 1_000 && controller.abort(reason),
  );
  const held = acquireDataDirectory(dataDirectory, 'restore run');
  await expect(ownForServing(options)).rejects.toBe(reason);
  held.release();
});
