import { isEnclaveManagerError, toEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { notReady, ready } from '#model/readiness.ts';
import type { Clock } from '#ports/clock.ts';
import type { Database } from '#ports/database.ts';
import { readCluster, type ClusterRow } from '#store/cluster.ts';
import { hasImportMarker } from '#store/import-marker.ts';
import { readMaintenance, type Maintenance } from '#store/maintenance.ts';
import { readLifeMark } from '#store/life-seal.ts';
import {
  acknowledgeMaintenance,
  heartbeat,
  registerServer,
  registrationMs,
  removeServer,
  type Registration,
} from '#store/servers.ts';
import type { Gate } from './gate.ts';

const pollMs = 500;
const heartbeatMs = 5_000;

const replayed = 'an export was replayed into the live database, and is not checked yet';
const unproved =
  "nothing proves that the live database became this cluster's where it lies; see database accept-import";

export interface PresenceParts {
  readonly clock: Clock;
  readonly database: Database;
  readonly gate: Gate;
  readonly registration: Registration;
  readonly log: (message: string) => void;
  /** Whether the life that the live database names began in it. Reads the keys. */
  readonly mayServe: () => Promise<boolean>;
  /** Told once this manager is out, after it was refused. */
  readonly onOut?: () => void;
}

/**
 * Keeps this manager registered, stops it from serving while a maintenance lasts, and notices when the name of the
 * live database comes to mean another one: then it registers there.
 */
export class Presence {
  readonly #parts: PresenceParts;
  #registeredIn: string | undefined;
  #heartbeatMs = -Infinity;
  #registeredUntilMs = -Infinity;
  #acknowledged: string | undefined;
  #trouble: string | undefined;
  #isImporting = false;
  /** The seal of the live database that was looked at last, and whether it counted. */
  #seal: { readonly mark: string; readonly counts: boolean } | undefined;
  #refusal: { readonly sentence: string; carriedOut: boolean } | undefined;

  constructor(parts: PresenceParts) {
    this.#parts = parts;
  }

  /** This host may not serve any more: from the next look on it is not ready, not registered, and writes nothing. */
  refuse(sentence: string): void {
    this.#refusal ??= { sentence, carriedOut: false };
  }

  /** Until the signal; trouble with the database is reported, never thrown. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.look();
      await this.#parts.clock.sleep(pollMs, signal).catch(() => {});
    }
  }

  /** One look at the database. */
  async look(): Promise<void> {
    try {
      await this.#look();
      if (this.#trouble !== undefined) this.#parts.log('the database answers again');
      this.#trouble = undefined;
    } catch (error) {
      const { message } = toEnclaveManagerError(error);
      // Between the swap's end of our sessions and the next look nothing is wrong yet.
      if (this.#trouble === undefined && !this.#isMaintenance) this.#parts.log(message);
      this.#trouble = message;
      this.#heartbeatMs = -Infinity;
      this.#parts.gate.report(notReady(message, { retryAfterSeconds: 2 }));
      await this.#endWorkOfFormerLife();
    }
  }

  /** What began under a registration that has run out must not go on: a restore may have ceased to wait for us. */
  async #endWorkOfFormerLife(): Promise<void> {
    const { gate } = this.#parts;
    if (gate.hasRunOut) await gate.close(gate.readiness);
  }

  async #look(): Promise<void> {
    await this.#endWorkOfFormerLife();
    if (this.#refusal !== undefined) return await this.#stayOut(this.#refusal);
    if (await hasImportMarker(this.#parts.database)) return await this.#waitForImport(replayed);
    if (!(await this.#isSealed())) return await this.#waitForImport(unproved);
    this.#isImporting = false;
    const { queries } = this.#parts.database;
    const cluster = await readCluster(queries);
    if (cluster === undefined) throw new Error('the live database holds no cluster any more');
    await this.#register(cluster);
    const maintenance = await readMaintenance(queries);
    if (maintenance === undefined) this.#resume();
    else await this.#pause(maintenance);
  }

  async #register({ incarnation }: ClusterRow): Promise<void> {
    const { clock, database, gate, registration, log } = this.#parts;
    const life = `${incarnation.number} ${incarnation.random}`;
    const isNew = this.#registeredIn !== life;
    const nowMs = clock.monotonicMs();
    if (!isNew && nowMs - this.#heartbeatMs < heartbeatMs) return;
    // Before anything of the new life is touched, what was begun in the former one has ended.
    if (isNew && this.#registeredIn !== undefined)
      await gate.close(notReady('another database serves now', { retryAfterSeconds: 2 }));
    if (isNew || !(await heartbeat(database.queries, registration.serverId, registrationMs))) {
      await removeServer(database.queries, registration.serverId);
      await registerServer(database.queries, registration, registrationMs);
      this.#acknowledged = undefined;
    }
    if (isNew && this.#registeredIn !== undefined)
      log(`another database serves now: incarnation ${incarnation.number}`);
    this.#registeredIn = life;
    this.#heartbeatMs = nowMs;
    this.#registeredUntilMs = nowMs + registrationMs;
  }

  async #stayOut(refusal: { readonly sentence: string; carriedOut: boolean }): Promise<void> {
    if (refusal.carriedOut) return;
    const { gate, log } = this.#parts;
    log(refusal.sentence);
    await gate.close(notReady(refusal.sentence));
    await this.leave();
    refusal.carriedOut = true;
    this.#parts.onOut?.();
  }

  /** The keys are read only where there is something new to look at. */
  async #isSealed(): Promise<boolean> {
    const { database, mayServe } = this.#parts;
    const mark = await readLifeMark(database);
    if (this.#seal?.mark !== mark) this.#seal = { mark, counts: await mayServe() };
    return this.#seal.counts;
  }

  /** Somebody replayed rows in place of what this manager served: nobody has checked them. */
  async #waitForImport(sentence: string): Promise<void> {
    if (this.#isImporting) return;
    this.#parts.log(sentence);
    await this.#parts.gate.close(notReady(sentence));
    this.#isImporting = true;
  }

  get #isMaintenance(): boolean {
    return this.#acknowledged !== undefined;
  }

  #resume(): void {
    if (this.#isMaintenance) this.#parts.log('the maintenance is over; serving again');
    this.#acknowledged = undefined;
    this.#parts.gate.open(ready, this.#registeredUntilMs);
  }

  async #pause({ maintenanceId, reason, begunBy }: Maintenance): Promise<void> {
    const { gate, database, registration, log } = this.#parts;
    const sentence = `paused for a ${reason} by ${begunBy}`;
    if (this.#acknowledged === maintenanceId) {
      gate.report(notReady(sentence, { retryAfterSeconds: 2 }));
      return;
    }
    log(sentence);
    await gate.close(notReady(sentence, { retryAfterSeconds: 2 }));
    await acknowledgeMaintenance(database.queries, registration.serverId, maintenanceId);
    this.#acknowledged = maintenanceId;
  }

  /** Lets nobody wait for this manager; best effort, the registration expires anyway. */
  async leave(): Promise<void> {
    try {
      await removeServer(this.#parts.database.queries, this.#parts.registration.serverId);
    } catch (error) {
      if (!isEnclaveManagerError(error)) throw error;
    }
  }
}
