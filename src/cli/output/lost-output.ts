import { type EnclaveManagerError, toEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { errnoName, fromFileSystemError } from '#errors/file-system-error.ts';
import type { Streams } from './output.ts';

/**
 * Whether standard output took what was printed. Work that is under way goes on without it, and what standard error does
 * not take nobody can be told.
 */
export class LostOutput {
  readonly #stdout: Streams['stdout'];
  #error: Error | undefined;

  constructor({ stdout, stderr }: Pick<Streams, 'stdout' | 'stderr'>) {
    this.#stdout = stdout;
    stdout.on('error', (error: Error) => (this.#error ??= error));
    stderr.on('error', () => {});
  }

  /** Waits until all was taken. Whoever read our output and left has all he wanted: that is no failure. */
  async find(): Promise<EnclaveManagerError | undefined> {
    // The callback of a stream that failed may come before its `error`.
    await new Promise<void>((resolve) => void this.#stdout.write('', () => setImmediate(resolve)));
    if (this.#error === undefined || errnoName(this.#error) === 'EPIPE') return undefined;
    return toEnclaveManagerError(fromFileSystemError(this.#error, 'standard output'));
  }
}
