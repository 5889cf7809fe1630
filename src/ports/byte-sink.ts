/** Where bytes go that are made while they are written, such as an export. */
export interface ByteSink {
  /** Resolves when more may come. Throws `no-space`, `configuration`, `interrupted` when nobody takes it any more. */
  write(bytes: Uint8Array): Promise<void>;
}

/** A file that comes into being whole or not at all. */
export interface NewOutputFile extends ByteSink {
  /** Makes it durable and gives it its name, which must be free still. */
  publish(): Promise<void>;
  /** Leaves no trace. Safe to call after `publish`, and then does nothing. */
  discard(): Promise<void>;
}
