import { stat, statfs } from 'node:fs/promises';
import type { StoreExaminer, StoreFinding } from '#ports/store-examiner.ts';
import { DirectoryStore } from './directory-store.ts';

const littleSpaceBytes = 1024 ** 3;

/** What there is to know of a directory before backups go there. */
export class DirectoryExaminer implements StoreExaminer {
  readonly store: DirectoryStore;
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
    this.store = new DirectoryStore(path);
  }

  async whyProbesWouldStay(): Promise<string | undefined> {
    return (await this.#isThere()) ? undefined : 'the directory is not there yet, and a probe would make it';
  }

  async *look(): AsyncGenerator<StoreFinding> {
    if (!(await this.#isThere())) return;
    const { bavail, bsize } = await statfs(this.#path);
    const freeBytes = bavail * bsize;
    const little = freeBytes < littleSpaceBytes;
    yield {
      topic: 'space',
      grade: little ? 'notice' : 'good',
      found: `${Math.floor(freeBytes / 1024 ** 2)} MiB are free`,
      means: little ? 'the next backup may find no space and then fails, listing nothing' : 'there is room for backups',
    };
    const { mode } = await stat(this.#path);
    const open = (mode & 0o077) !== 0;
    yield {
      topic: 'permissions',
      grade: open ? 'notice' : 'good',
      found: `mode ${(mode & 0o777).toString(8).padStart(4, '0')}`,
      means: open
        ? 'other users may look into the directory; rows and keys in it are encrypted, names and times are not'
        : 'only this user reads and writes the repository',
    };
  }

  /** A directory has nothing that only it could be asked by storing. */
  async *probe(): AsyncGenerator<StoreFinding> {}

  async sweep(place: string): Promise<readonly string[]> {
    const keys: string[] = [];
    for await (const { key } of this.store.list(place)) keys.push(key);
    for (const key of keys) await this.store.delete(key);
    return [];
  }

  async close(): Promise<void> {
    await this.store.close();
  }

  async #isThere(): Promise<boolean> {
    return await stat(this.#path).then(
      (entry) => entry.isDirectory(),
      () => false,
    );
  }
}
