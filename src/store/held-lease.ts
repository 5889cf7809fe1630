import { isEnclaveManagerError, type EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { Database } from '#ports/database.ts';
import { leaseLost, requireLease, type LeaseToken } from './lease-rows.ts';
import { serverTimeAfter } from './server-time.ts';
import { tablesOf } from './tables.ts';

/** A lease that is renewed in the background, every third of its time, until it is released or lost. */
export interface Lease {
  readonly token: LeaseToken;
  /** Aborts, with a `lease-held` error as its reason, as soon as this process knows or must assume that it lost the lease. */
  readonly lost: AbortSignal;
  /** Asks the database; throws `lease-held` when the lease is no longer ours. */
  assertHeld(): Promise<void>;
  /** Renews it now and says until when, by the server's clock, nobody else can have it; throws as `assertHeld` does. */
  prolong(): Promise<Date>;
  /** Stops the renewal and gives the lease back. Safe to call twice, and when the lease or the database is lost: what cannot be given back expires. */
  release(): Promise<void>;
}

/** Goes on holding a lease taken before, for instance by a restore inside the database that it has swapped in since. */
export function holdLease(database: Database, token: LeaseToken, ttlMs: number): Lease {
  return new HeldLease(database, token, ttlMs);
}

class HeldLease implements Lease {
  readonly token: LeaseToken;
  readonly lost: AbortSignal;
  readonly #database: Database;
  readonly #ttlMs: number;
  readonly #loss = new AbortController();
  #renewal: NodeJS.Timeout | undefined;
  #expiry: NodeJS.Timeout;
  #renewing: Promise<void> = Promise.resolve();
  #released = false;

  constructor(database: Database, token: LeaseToken, ttlMs: number) {
    this.token = token;
    this.lost = this.#loss.signal;
    this.#database = database;
    this.#ttlMs = ttlMs;
    this.#expiry = this.#expireLater();
    this.#renewLater();
  }

  async assertHeld(): Promise<void> {
    this.lost.throwIfAborted();
    if (this.#released) throw leaseLost(this.token.name, undefined);
    try {
      await this.#database.transaction((queries) => requireLease(queries, this.token));
    } catch (error) {
      this.#stopIfLost(error);
      throw error;
    }
  }

  async prolong(): Promise<Date> {
    await this.assertHeld();
    try {
      return await this.#extend();
    } catch (error) {
      this.#stopIfLost(error);
      throw error;
    }
  }

  async release(): Promise<void> {
    if (this.#released) return;
    this.#released = true;
    this.#stop();
    await this.#renewing;
    if (!this.lost.aborted) await this.#giveBack().catch(() => undefined);
  }

  #renewLater(): void {
    this.#renewal = setTimeout(() => {
      this.#renewing = this.#renew();
    }, this.#ttlMs / 3).unref();
  }

  /** Counts from before the renewal is sent, so that we never believe in the lease for longer than the server does. */
  #expireLater(): NodeJS.Timeout {
    return setTimeout(() => this.#lose(leaseLost(this.token.name, undefined)), this.#ttlMs).unref();
  }

  async #renew(): Promise<void> {
    const expiry = this.#expireLater();
    try {
      await this.#extend();
      clearTimeout(this.#expiry);
      this.#expiry = expiry;
    } catch (error) {
      // The database may answer again before the lease expires; only its own word or that expiry ends it.
      clearTimeout(expiry);
      this.#stopIfLost(error);
    }
    if (this.#released || this.lost.aborted) this.#stop();
    else this.#renewLater();
  }

  /** Takes back what expired unnoticed as well: the same counter proves that nobody had it in between. */
  async #extend(): Promise<Date> {
    const row = await this.#ownRow()
      .set({ expires_at: serverTimeAfter(this.#ttlMs) })
      .returning('expires_at')
      .executeTakeFirst();
    if (!row?.expires_at) throw leaseLost(this.token.name, undefined);
    return row.expires_at;
  }

  async #giveBack(): Promise<void> {
    await this.#ownRow().set({ holder: null, expires_at: null }).execute();
  }

  #stopIfLost(error: unknown): void {
    if (isEnclaveManagerError(error, 'lease-held')) this.#lose(error);
  }

  #lose(reason: EnclaveManagerError): void {
    this.#stop();
    this.#loss.abort(reason);
  }

  #stop(): void {
    clearTimeout(this.#renewal);
    clearTimeout(this.#expiry);
  }

  #ownRow() {
    const { name, counter, incarnation } = this.token;
    return tablesOf(this.#database)
      .updateTable('leases')
      .where('name', '=', name)
      .where('counter', '=', counter)
      .where('incarnation_number', '=', incarnation.number)
      .where('incarnation_random', '=', incarnation.random)
      .where('holder', 'is not', null);
  }
}
