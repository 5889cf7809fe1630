/**
 * Bytes that one host keeps to be faster, in its data directory. They may be gone, old, damaged or another host's at any
 * time: whoever reads them checks them. Neither call fails.
 */
export interface CatalogCache {
  /** `undefined` where there is nothing to read. */
  read(): Promise<Buffer | undefined>;
  /** Replaces the whole atomically, or leaves what was there. */
  replace(bytes: Uint8Array): Promise<void>;
}
