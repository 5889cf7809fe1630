import type { KeyringDocument } from '#keys/keyring-entry.ts';
import type { BackupSummary } from '#model/backup.ts';

/** A chunk as a table's list names it. */
export interface ChunkReference {
  /** 64 hex digits. */
  readonly id: string;
  readonly rows: number;
  /** Bytes of the rows before compression. */
  readonly rowBytes: number;
}

export interface TableManifest {
  readonly name: string;
  /** In the order in which the rows have them. */
  readonly columns: readonly { readonly name: string; readonly type: string }[];
  readonly rows: number;
  /** Their rows, one chunk after another, are the rows of the table. */
  readonly chunks: readonly ChunkReference[];
}

/** A stored chunk: what the repository must hold for the backup to be whole. */
export interface ObjectReference {
  /** `<id>.<object>` */
  readonly name: string;
  readonly sizeBytes: number;
  /** Of the stored bytes, hex. */
  readonly sha256: string;
}

/** The part that can be read, though not trusted, without keys. */
export interface ClearManifest {
  readonly summary: BackupSummary;
  /** Those of the schema that was backed up, ascending. `checksum`: SHA-256 of the migration's file, hex. */
  readonly migrations: readonly { readonly version: number; readonly checksum: string }[];
  /** Sorted by name; one for each chunk id. */
  readonly objects: readonly ObjectReference[];
  /** The keyring documents of the backup's epochs, sorted by path, so that it opens where `keyring/` is damaged. */
  readonly keyring: readonly KeyringDocument[];
}

export interface ManifestDetails {
  readonly tables: readonly TableManifest[];
  readonly warnings: readonly string[];
}

export interface Manifest extends ClearManifest, ManifestDetails {}
