import { dirname, join } from 'node:path';

import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';

import { failureCode, fileFailure } from './failures.ts';
import type { FileSystem } from './file-system.ts';

/** Makes the directories of one tree, and makes sure that they survive a power failure before anything is put in them. */
export class DurableDirectories {
  readonly #files: FileSystem;
  readonly #root: string;
  /** Directories of which this process knows that their own name is durable. A layout has a few hundred. */
  readonly #durable = new Set<string>();

  constructor(files: FileSystem, root: string) {
    this.#files = files;
    this.#root = root;
  }

  /** `segments`: names below the root. Resolves with the path. */
  async ensure(segments: readonly string[]): Promise<string> {
    let path = this.#root;
    await this.#ensureRoot();
    for (const segment of segments) {
      const parent = path;
      path = join(path, segment);
      if (!this.#durable.has(path)) await this.#ensureChild(parent, path);
      // Somebody may have put a link in its place since.
      else await this.#requireDirectory(path);
    }
    return path;
  }

  /** To be called when a directory turned out to be gone. */
  forget(): void {
    this.#durable.clear();
  }

  /** Another process may have made the directory a moment ago and not synced it yet, so its parent is always synced. */
  async #ensureChild(parent: string, path: string): Promise<void> {
    await this.#make(path);
    await this.#requireDirectory(path);
    await this.#sync(parent);
    this.#durable.add(path);
  }

  async #ensureRoot(): Promise<void> {
    if (this.#durable.has(this.#root)) return;
    const missing = await this.#missingAncestors();
    for (const path of missing) {
      await this.#make(path);
      await this.#sync(dirname(path));
    }
    if (missing.length === 0) await this.#syncAboveRoot();
    this.#durable.add(this.#root);
  }

  /** Whoever prepared a directory for us need not let us read the one above it. */
  async #syncAboveRoot(): Promise<void> {
    try {
      await this.#files.syncDirectory(dirname(this.#root));
    } catch (error) {
      if (!['EACCES', 'EPERM', 'EROFS'].includes(failureCode(error) ?? ''))
        throw fileFailure('sync', dirname(this.#root), error);
    }
  }

  async #requireDirectory(path: string): Promise<void> {
    try {
      await requireDirectory(this.#files, path);
    } catch (error) {
      throw fileFailure('look at', path, error);
    }
  }

  async #sync(path: string): Promise<void> {
    try {
      await this.#files.syncDirectory(path);
    } catch (error) {
      throw fileFailure('sync', path, error);
    }
  }

  /** Directories to make for the root to exist, outermost first. The root itself may be a symbolic link of the operator's. */
  async #missingAncestors(): Promise<string[]> {
    const missing: string[] = [];
    for (let path = this.#root; !(await this.#exists(path)); path = dirname(path)) missing.unshift(path);
    return missing;
  }

  async #exists(path: string): Promise<boolean> {
    try {
      await this.#files.entry(path);
      return true;
    } catch (error) {
      if (failureCode(error) === 'ENOENT') return false;
      throw fileFailure('look at', path, error);
    }
  }

  async #make(path: string): Promise<void> {
    try {
      await this.#files.makeDirectory(path);
    } catch (error) {
      if (failureCode(error) !== 'EEXIST') throw fileFailure('make the directory', path, error);
    }
  }
}

/** A symbolic link in the tree could lead a write or a read to anywhere. */
export async function requireDirectory(files: FileSystem, path: string): Promise<void> {
  const entry = await files.entry(path);
  if (entry.kind === 'directory') return;
  throw new EnclaveManagerError('configuration', `${path} is not a directory`, {
    hint: 'The repository follows no links inside its tree: move what is there away, or mount a disk instead of linking it.',
  });
}
