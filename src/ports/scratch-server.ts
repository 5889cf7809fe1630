import type { DatabaseServer } from './database.ts';

/** Starts a private database server for a drill and removes every trace of it afterwards. */
export interface ScratchServers {
  start(limit: { readonly maxBytes: number }): Promise<ScratchServer>;
}

export interface ScratchServer {
  readonly server: DatabaseServer;
  /**
   * Aborts, with a `no-space` error as its reason, when the server outgrew its limit; it has then been stopped, and what
   * is asked of it fails with `database-unreachable`.
   */
  readonly overLimit: AbortSignal;
  /** Stops the server and deletes its files; safe to call twice. */
  remove(): Promise<void>;
}
