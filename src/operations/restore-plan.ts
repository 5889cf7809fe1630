import type { CatalogEntry } from '#model/backup.ts';
import type { UnknownCause } from '#model/unknown.ts';
import type { LiveContent } from './live-content.ts';

/** What a restore would do, for people and scripts. */
export interface RestorePlan {
  readonly backup: CatalogEntry;
  /** Why nothing here proves what the repository says of itself; `null` where it is proved. */
  readonly unknown: UnknownCause | null;
  readonly clusterId: string;
  /** `null` on a host without a key. */
  readonly clusterKey: string | null;
  readonly newestSequence: number;
  readonly newestStartedAt: string;
  /** Newer backups than this one, safety backups included. */
  readonly newerBackups: number;
  /** What this host remembers; `null`: nothing, so that freshness has to be confirmed. */
  readonly highestSequenceSeen: number | null;
  /** `null`: unknown, because what holds the key of this host did not answer. */
  readonly openableHere: boolean | null;
  /** Hosts that can open it; nothing proves it where `unknown` says why. */
  readonly openers: readonly { readonly nodeId: string; readonly name: string; readonly site: string | null }[];
  readonly schemaVersion: number;
  readonly programSchemaVersion: number;
  readonly rows: number;
  readonly logicalBytes: number;
  readonly storedBytes: number;
  readonly estimatedDurationMs: number;
  /** About how much space the new database takes while it is built beside the old one; less free space does not stop it. */
  readonly neededBytes: number;
  /** `null` where no database could be asked. */
  readonly server: PlannedServer | null;
  /** Why `restore run` would refuse now; each a sentence. Empty: it would begin. */
  readonly obstacles: readonly string[];
}

export interface PlannedServer {
  readonly location: string;
  readonly engine: string;
  /** The database that would be replaced. */
  readonly live: {
    readonly name: string;
    readonly sizeBytes: number;
    readonly clusterId: string | null;
    readonly content: LiveContent;
  } | null;
  readonly missingPrivileges: readonly string[];
  /** `null` where the server cannot be asked. */
  readonly freeBytes: number | null;
}
