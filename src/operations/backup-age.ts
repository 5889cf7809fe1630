import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { mayCommit, minimumGraceMs } from '#model/prune-rules.ts';
import type { Clock } from '#ports/clock.ts';
import { readServerTime } from '#store/server-time.ts';
import type { Queries } from '#store/tables.ts';

/**
 * How long ago a backup looked at the repository. The database server is asked as well: on a host that slept, or whose
 * virtual machine was paused, no time has passed by its own clock.
 */
export class BackupAge {
  readonly #clock: Clock;
  readonly #queries: Queries;
  readonly #begunMs: number;
  readonly #begunAtServerMs: number;

  private constructor(clock: Clock, queries: Queries, begunMs: number, begunAtServerMs: number) {
    this.#clock = clock;
    this.#queries = queries;
    this.#begunMs = begunMs;
    this.#begunAtServerMs = begunAtServerMs;
  }

  static async begin(clock: Clock, queries: Queries): Promise<BackupAge> {
    return new BackupAge(clock, queries, clock.monotonicMs(), await readServerTime(queries));
  }

  /** `lease-held` once prune might delete what the backup took for stored before its manifest arrives. */
  async assertYoung(): Promise<void> {
    const atServerMs = (await readServerTime(this.#queries)) - this.#begunAtServerMs;
    const ageMs = Math.max(this.#clock.monotonicMs() - this.#begunMs, atServerMs);
    if (mayCommit(ageMs)) return;
    const hours = Math.round(ageMs / 3_600_000);
    throw new EnclaveManagerError(
      'lease-held',
      `the backup took ${hours} hours, and after ${minimumGraceMs / 7_200_000} prune may delete what it builds on; nothing was listed`,
      { hint: 'Run the command again: what is stored already is not stored again, so the next one is faster.' },
    );
  }
}
