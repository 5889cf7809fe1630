import type { SealingProvider } from '#ports/sealing.ts';
import type { Status } from './read-status.ts';

/** What `serve` says once everything is up. */
export interface StartReport {
  /** `created`: this start made the cluster; `adopted`: it took over an empty repository. */
  readonly outcome: 'created' | 'adopted' | 'opened';
  /** Where the health endpoints answer: `http://127.0.0.1:8080`. */
  readonly address: string;
  readonly dataDirectory: string;
  readonly nodeName: string;
  /** What seals the key of this host, and why that. */
  readonly sealing: { readonly provider: SealingProvider; readonly why: string };
  /** The key file of software sealing, else the device. */
  readonly keyPlace: string;
  readonly embeddedDatabase: boolean;
  /** What the first drill read and compared, when this start took one. */
  readonly drilled: { readonly rows: number; readonly tables: number } | null;
  readonly status: Status;
}
