import { createHash, randomUUID } from 'node:crypto';
import { basename, dirname, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';

import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';

import { DurableDirectories } from './durable-directories.ts';
import { failureCode, fileFailure } from './failures.ts';
import type { FileSystem } from './file-system.ts';

/** Inside the root, so that a link from here to any object stays on one file system. No object key begins with a dot. */
const temporaryDirectory = '.tmp';
/** Nothing takes this long to write; what is older was left behind by a crash. */
const staleAfterMs = 60 * 60 * 1000;
const reservationAttempts = 100;
const reservationPauseMs = 50;

/**
 * Creates objects so that each is whole or absent and, once `put` resolved, there for good:
 * write a temporary file, fsync it, link it to its name (which fails where the name is taken), fsync the directory.
 *
 * File systems without hard links (FAT, some network mounts) have no call that creates a complete file under a free name.
 * There a reservation file per key, made exclusively, takes the place of the link's exclusiveness, and rename(2)
 * that of its atomicity. A crash in between leaves the key reserved until the reservation is old enough to be cleaned.
 */
export class DurablePut {
  readonly #files: FileSystem;
  readonly #root: string;
  readonly #directories: DurableDirectories;
  #cleanedAtMs = Number.NEGATIVE_INFINITY;

  constructor(files: FileSystem, root: string) {
    this.#files = files;
    this.#root = root;
    this.#directories = new DurableDirectories(files, root);
  }

  async put(key: string, body: Uint8Array): Promise<'created' | 'exists'> {
    try {
      return await this.#attempt(key, body);
    } catch (error) {
      if (!isGone(error)) throw error;
      // Somebody removed a directory of the tree while we ran.
      this.#directories.forget();
      return await this.#attempt(key, body);
    }
  }

  async #attempt(key: string, body: Uint8Array): Promise<'created' | 'exists'> {
    const path = join(this.#root, key);
    const temporary = join(await this.#directories.ensure([temporaryDirectory]), `${randomUUID()}.object`);
    const parent = await this.#directories.ensure(key.split('/').slice(0, -1));
    try {
      await this.#write(temporary, body);
      await this.#cleanSometimes(temporary);
      const outcome = await this.#publish(temporary, path);
      // Also where it exists: whoever created it may not have synced the directory yet.
      await this.#files.syncDirectory(parent);
      return outcome;
    } catch (error) {
      throw fileFailure('write', path, error);
    } finally {
      await this.#discard(temporary);
    }
  }

  async #write(temporary: string, body: Uint8Array): Promise<void> {
    const file = await this.#files.createFile(temporary);
    try {
      await file.write(body);
      await file.sync();
    } finally {
      await file.close();
    }
  }

  async #publish(temporary: string, path: string): Promise<'created' | 'exists'> {
    try {
      await this.#files.link(temporary, path);
      return 'created';
    } catch (error) {
      const code = failureCode(error);
      if (code === 'EEXIST') return await this.#requireFile(path);
      if (code !== 'EPERM' && code !== 'ENOTSUP' && code !== 'EOPNOTSUPP' && code !== 'ENOSYS') throw error;
      return await this.#publishWithoutLinks(temporary, path);
    }
  }

  async #publishWithoutLinks(temporary: string, path: string): Promise<'created' | 'exists'> {
    const name = createHash('sha256').update(path.slice(this.#root.length)).digest('hex');
    const reservation = join(dirname(temporary), `${name}.reserved`);
    for (let attempt = 0; attempt < reservationAttempts; attempt += 1) {
      if (await this.#isTaken(path)) return await this.#requireFile(path);
      if (await this.#reserve(reservation)) return await this.#publishReserved(temporary, path, reservation);
      await setTimeout(reservationPauseMs);
    }
    throw new EnclaveManagerError('repository-unreachable', `${path} is being written by another process`, {
      hint: `If no other process writes, one was killed: this clears by itself within an hour, or remove ${reservation}.`,
    });
  }

  async #publishReserved(temporary: string, path: string, reservation: string): Promise<'created' | 'exists'> {
    try {
      if (await this.#isTaken(path)) return await this.#requireFile(path);
      await this.#files.rename(temporary, path);
      return 'created';
    } finally {
      await this.#discard(reservation);
    }
  }

  async #reserve(reservation: string): Promise<boolean> {
    try {
      await (await this.#files.createFile(reservation)).close();
      return true;
    } catch (error) {
      if (failureCode(error) === 'EEXIST') return false;
      throw error;
    }
  }

  async #isTaken(path: string): Promise<boolean> {
    try {
      await this.#files.entry(path);
      return true;
    } catch (error) {
      if (failureCode(error) === 'ENOENT') return false;
      throw error;
    }
  }

  async #requireFile(path: string): Promise<'exists'> {
    if ((await this.#files.entry(path)).kind === 'file') return 'exists';
    throw new EnclaveManagerError('damaged', `${path} is not a regular file`);
  }

  /** Removes what earlier processes left behind. The age is measured by the clock that stamped our own new file. */
  async #cleanSometimes(temporary: string): Promise<void> {
    const nowMs = (await this.#files.entry(temporary)).modifiedAt.getTime();
    if (nowMs - this.#cleanedAtMs < staleAfterMs) return;
    this.#cleanedAtMs = nowMs;
    const directory = dirname(temporary);
    for (const name of await this.#files.names(directory)) {
      if (name !== basename(temporary)) await this.#discardStale(join(directory, name), nowMs);
    }
  }

  async #discardStale(path: string, nowMs: number): Promise<void> {
    try {
      const entry = await this.#files.entry(path);
      if (entry.kind === 'file' && nowMs - entry.modifiedAt.getTime() > staleAfterMs) await this.#files.unlink(path);
    } catch (error) {
      if (failureCode(error) !== 'ENOENT') throw error;
    }
  }

  /** Never fails a put: what stays is invisible, and cleaned when it is old. Its removal need not be durable either. */
  async #discard(path: string): Promise<void> {
    try {
      await this.#files.unlink(path);
    } catch {
      // Already renamed, or cleaned later.
    }
  }
}

function isGone(error: unknown): boolean {
  return error instanceof EnclaveManagerError && failureCode(error.cause) === 'ENOENT';
}
