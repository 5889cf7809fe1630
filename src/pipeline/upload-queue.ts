/** Runs at most `limit` uploads at once; the first failure ends the queue and is thrown to whoever waits. */
export class UploadQueue {
  readonly #limit: number;
  readonly #running = new Set<Promise<void>>();
  #failure: { readonly error: unknown } | undefined;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Begins an upload. Call `ready` before the next one. */
  add(upload: () => Promise<void>): void {
    const running: Promise<void> = upload()
      .catch((error: unknown) => {
        this.#failure ??= { error };
      })
      .finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  /** `undefined` when another upload may begin at once; otherwise resolves then, or rejects with the first failure. */
  ready(): Promise<void> | undefined {
    if (this.#failure !== undefined) return Promise.reject(this.#failure.error);
    return this.#running.size < this.#limit ? undefined : this.#waitBelow(this.#limit);
  }

  /** Resolves when all uploads are done, rejects with the first failure. */
  async drain(): Promise<void> {
    await this.#waitBelow(1);
  }

  async #waitBelow(count: number): Promise<void> {
    while (this.#running.size >= count) await Promise.race(this.#running);
    if (this.#failure !== undefined) throw this.#failure.error;
  }
}
