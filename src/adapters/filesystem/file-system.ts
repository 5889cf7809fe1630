/**
 * The calls of a file system that the directory store uses, one system call each, so that tests can record them and
 * drop what was not yet synced. Errors are Node's, with their `code`.
 */
export interface FileSystem {
  /** mkdir(2) with mode 0700. `EEXIST`, `ENOENT` … */
  makeDirectory(path: string): Promise<void>;
  /** Creates a file of mode 0600 that must not exist, for writing. */
  createFile(path: string): Promise<NewFile>;
  /** Opens for reading; the last component must not be a symbolic link (`ELOOP`). Never blocks on a pipe. */
  openFile(path: string): Promise<OpenFile>;
  /** link(2): a second name for a file; `EEXIST` where the name is taken. */
  link(existing: string, path: string): Promise<void>;
  /** rename(2): replaces what is there. */
  rename(from: string, to: string): Promise<void>;
  unlink(path: string): Promise<void>;
  /** fsync(2) of a directory: the names in it become durable. */
  syncDirectory(path: string): Promise<void>;
  /** lstat(2): of the name itself, never of what a symbolic link points to. */
  entry(path: string): Promise<Entry>;
  /** Names in a directory, in any order. */
  names(path: string): Promise<string[]>;
}

export interface NewFile {
  write(bytes: Uint8Array): Promise<void>;
  /** fsync(2): the bytes become durable. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

export interface OpenFile {
  entry(): Promise<Entry>;
  /** Reads `length` bytes from the beginning, or fewer where the file is shorter. */
  read(length: number): Promise<Buffer>;
  close(): Promise<void>;
}

export interface Entry {
  readonly kind: 'file' | 'directory' | 'other';
  readonly sizeBytes: number;
  /** By the file system's clock. */
  readonly modifiedAt: Date;
  /** Inode and both times: the time of the last change of the inode is set by the kernel alone. */
  readonly version: string;
}
