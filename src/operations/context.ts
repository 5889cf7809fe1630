import type { StartWorker } from '#pipeline/worker-protocol.ts';
import type { Clock } from '#ports/clock.ts';
import type { CrashPoints } from '#ports/crash-points.ts';
import type { Database, DatabaseServer } from '#ports/database.ts';
import type { LocalState } from '#ports/local-state.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import type { Progress } from '#ports/progress.ts';
import type { Randomness } from '#ports/randomness.ts';
import type { Sealing } from '#ports/sealing.ts';
import type { HardwareTrust } from './hardware-trust.ts';
import type { OpenedKeyring } from '#keys/keyring.ts';

/** What every operation is given, whoever started it. */
export interface OperationContext {
  readonly clock: Clock;
  readonly randomness: Randomness;
  readonly progress: Progress;
  readonly crashPoints: CrashPoints;
  /** Its reason is the typed error (`interrupted`, `terminated`) that the operation then rejects with. */
  readonly signal: AbortSignal;
  readonly startWorker: StartWorker;
  /** Processors that worker threads may use. */
  readonly processors: number;
  /** Who holds a lease, for people: host, process id, command. */
  readonly holder: string;
}

/** A cluster whose keys are open on this host. */
export interface Cluster {
  readonly keyring: OpenedKeyring;
  readonly server: DatabaseServer;
  /** The live database. */
  readonly database: Database;
  /** `undefined` with `ENCLAVE_MANAGER_REPOSITORY=none`. */
  readonly store: ObjectStore | undefined;
  readonly localState: LocalState;
}

/** What there is on a host before any cluster is open. */
export interface Host {
  readonly server: DatabaseServer;
  readonly store: ObjectStore | undefined;
  readonly sealing: Sealing;
  readonly localState: LocalState;
  /** Whose word counts for the hardware of a host that is enrolled. */
  readonly hardwareTrust?: HardwareTrust;
  readonly node: { readonly name: string; readonly site: string | null };
}

export const operationLease = { name: 'operation', ttlMs: 30_000 } as const;
/** Whatever makes a membership: enrolment, eviction, a resealed credential. */
export const admissionLease = { name: 'admission', ttlMs: 30_000 } as const;
