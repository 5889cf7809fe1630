import type { Entry, FileSystem, NewFile, OpenFile } from './file-system.ts';

/** A name in a directory was added or removed. */
interface NameChange {
  readonly kind: 'name';
  readonly directory: number;
  readonly name: string;
  /** `undefined`: the name was removed. */
  readonly node: number | undefined;
}

type Operation =
  | NameChange
  | { readonly kind: 'write'; readonly node: number; readonly bytes: Buffer }
  | { readonly kind: 'sync-file'; readonly node: number }
  | { readonly kind: 'sync-directory'; readonly directory: number };

/** What happens to a change that was not synced when the power fails. A torn write leaves half its bytes. */
export type Fate = 'kept' | 'lost' | 'torn';

/** Path → content of every file below a directory. */
export type Surviving = ReadonlyMap<string, Buffer>;

const rootNode = 0;

/**
 * A file system in memory that records what was asked of it, and can say what a power failure after any of the recorded
 * operations leaves: what was synced stays; each other change stays or not, independently of all others. For tests.
 */
export class PowerLossFileSystem implements FileSystem {
  readonly operations: Operation[] = [];
  readonly #contents = new Map<number, Buffer>();
  readonly #directories = new Map<number, Map<string, number>>([[rootNode, new Map()]]);
  #nextNode = 1;

  async makeDirectory(path: string): Promise<void> {
    const node = this.#newNode();
    this.#addName(path, node);
    this.#directories.set(node, new Map());
  }

  async createFile(path: string): Promise<NewFile> {
    const node = this.#newNode();
    this.#addName(path, node);
    this.#contents.set(node, Buffer.alloc(0));
    return {
      write: async (bytes) => {
        this.#contents.set(node, Buffer.concat([this.#contents.get(node)!, bytes]));
        this.operations.push({ kind: 'write', node, bytes: Buffer.from(bytes) });
      },
      sync: async () => {
        this.operations.push({ kind: 'sync-file', node });
      },
      close: async () => undefined,
    };
  }

  async openFile(path: string): Promise<OpenFile> {
    const entry = await this.entry(path);
    const content = this.#contents.get(this.#find(path));
    return {
      entry: async () => entry,
      read: async (length) => (content ?? Buffer.alloc(0)).subarray(0, length),
      close: async () => undefined,
    };
  }

  async link(existing: string, path: string): Promise<void> {
    this.#addName(path, this.#find(existing));
  }

  async rename(from: string, to: string): Promise<void> {
    const node = this.#find(from);
    this.#changeName(to, node);
    this.#removeName(from);
  }

  async unlink(path: string): Promise<void> {
    this.#removeName(path);
  }

  async syncDirectory(path: string): Promise<void> {
    this.operations.push({ kind: 'sync-directory', directory: this.#find(path) });
  }

  async entry(path: string): Promise<Entry> {
    const node = this.#find(path);
    const content = this.#contents.get(node);
    return {
      kind: content ? 'file' : 'directory',
      sizeBytes: content?.length ?? 0,
      modifiedAt: new Date(0),
      version: path,
    };
  }

  async names(path: string): Promise<string[]> {
    return [...(this.#directories.get(this.#find(path)) ?? new Map<string, number>()).keys()];
  }

  /** Files that are there after the first `count` operations and a power failure. `fate` is asked once for each unsynced change. */
  survivors(count: number, fate: (operation: number) => Fate): Surviving {
    const done = this.operations.slice(0, count);
    const kept = done.map((operation, index): Fate => (isSynced(done, operation, index) ? 'kept' : fate(index)));
    const names = new Map<number, Map<string, number>>();
    const contents = new Map<number, Buffer[]>();
    for (const [index, operation] of done.entries()) {
      if (operation.kind === 'name' && kept[index] === 'kept') applyName(names, operation);
      if (operation.kind === 'write') append(contents, operation.node, torn(operation.bytes, kept[index]!));
    }
    const files = new Map<string, Buffer>();
    this.#collect(names, contents, rootNode, '', files);
    return files;
  }

  #collect(
    names: Map<number, Map<string, number>>,
    contents: Map<number, Buffer[]>,
    directory: number,
    path: string,
    files: Map<string, Buffer>,
  ): void {
    for (const [name, node] of names.get(directory) ?? []) {
      if (this.#directories.has(node)) this.#collect(names, contents, node, `${path}/${name}`, files);
      else files.set(`${path}/${name}`, Buffer.concat(contents.get(node) ?? []));
    }
  }

  #newNode(): number {
    return this.#nextNode++;
  }

  #addName(path: string, node: number): void {
    const { directory, name } = this.#split(path);
    if (this.#directories.get(directory)!.has(name)) throw failure('EEXIST', path);
    this.#changeName(path, node);
  }

  #removeName(path: string): void {
    this.#find(path);
    this.#changeName(path, undefined);
  }

  #changeName(path: string, node: number | undefined): void {
    const { directory, name } = this.#split(path);
    if (node === undefined) this.#directories.get(directory)!.delete(name);
    else this.#directories.get(directory)!.set(name, node);
    this.operations.push({ kind: 'name', directory, name, node });
  }

  #split(path: string): { directory: number; name: string } {
    const slash = path.lastIndexOf('/');
    const directory = this.#find(path.slice(0, slash));
    if (!this.#directories.has(directory)) throw failure('ENOTDIR', path);
    return { directory, name: path.slice(slash + 1) };
  }

  #find(path: string): number {
    let node = rootNode;
    for (const name of path.split('/').filter((part) => part !== '')) {
      const next = this.#directories.get(node)?.get(name);
      if (next === undefined) throw failure('ENOENT', path);
      node = next;
    }
    return node;
  }
}

function isSynced(done: readonly Operation[], operation: Operation, index: number): boolean {
  const later = done.slice(index + 1);
  if (operation.kind === 'name') {
    return later.some((next) => next.kind === 'sync-directory' && next.directory === operation.directory);
  }
  return operation.kind !== 'write' || later.some((next) => next.kind === 'sync-file' && next.node === operation.node);
}

function applyName(names: Map<number, Map<string, number>>, { directory, name, node }: NameChange): void {
  const entries = names.get(directory) ?? new Map<string, number>();
  names.set(directory, entries);
  if (node === undefined) entries.delete(name);
  else entries.set(name, node);
}

function append(contents: Map<number, Buffer[]>, node: number, bytes: Buffer): void {
  contents.set(node, [...(contents.get(node) ?? []), bytes]);
}

function torn(bytes: Buffer, fate: Fate): Buffer {
  if (fate === 'kept') return bytes;
  return fate === 'lost' ? Buffer.alloc(0) : bytes.subarray(0, bytes.length >> 1);
}

function failure(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${path}`), { code });
}
