import type { BackupId, ClusterId, NodeId } from './identifiers.ts';

export type BackupKind = 'scheduled' | 'manual' | 'safety';

/** How thoroughly the stored bytes of a backup were read back, and when. */
export interface Verified {
  readonly at: string;
  readonly level: 'new-chunks' | 'all-chunks' | 'restored';
  /** When the chunk that was read longest ago was read. */
  readonly oldestReadAt: string;
}

export interface LastDrill {
  readonly at: string;
  readonly passed: boolean;
  readonly durationMs: number;
}

/**
 * More lives than any database has: what is beyond it was planted. Manifests of earlier versions may hold such a number; the
 * next life is not counted from it.
 */
export const maxIncarnationNumber = 2 ** 32 - 1;

/** A number and 64 random bits, compared whole: which life of the database rows belong to. */
export interface Incarnation {
  readonly number: number;
  /** 16 hex digits. */
  readonly random: string;
}

/** The clear, signed part of a manifest, without its object list. */
export interface BackupSummary {
  readonly id: BackupId;
  readonly clusterId: ClusterId;
  readonly kind: BackupKind;
  readonly sequence: number;
  readonly startedAt: string;
  readonly endedAt: string;
  readonly rows: number;
  readonly logicalBytes: number;
  readonly storedBytes: number;
  readonly chunks: number;
  readonly engine: string;
  readonly schemaVersion: number;
  readonly productVersion: string;
  readonly epochs: readonly number[];
  readonly incarnation: Incarnation;
}

/** One row of the catalogue, as the bucket and the keys of this host show it. */
export interface CatalogEntry extends BackupSummary {
  /** `unknown` on a host without keys. */
  readonly authentic: boolean | 'unknown';
  readonly verified: Verified | null;
  readonly lastDrill: LastDrill | null;
  readonly openableBy: readonly NodeId[];
}
