import { hkdfSync } from 'node:crypto';
import { inspect } from 'node:util';
import { type ClusterId, uuidBytes } from '#model/identifiers.ts';

export const rootKeyBytes = 32;

/** The keys of one epoch. Printing or serializing them shows the epoch only. */
export interface EpochKeys {
  readonly epoch: number;
  /** HMAC-SHA-256 key for chunk ids, 32 bytes. */
  readonly chunkId: Buffer;
  /** HalfSipHash key of the cutter, 8 bytes. */
  readonly cutter: Buffer;
  /** AES-256-GCM keys, 32 bytes each. */
  readonly chunk: Buffer;
  readonly manifest: Buffer;
  readonly column: Buffer;
  /** Encrypts the private half of the cluster signing key in `epoch.json`. */
  readonly signingKey: Buffer;
}

/**
 * Derives the keys of an epoch from its 32-byte root key.
 * HKDF-SHA256 (RFC 5869): salt = the 16 bytes of the cluster id, info = `enclave-manager/1/<purpose>/<epoch>`.
 */
export function deriveEpochKeys(rootKey: Uint8Array, clusterId: ClusterId, epoch: number): EpochKeys {
  const derive = (purpose: string, length = 32): Buffer => deriveKey(rootKey, clusterId, `${purpose}/${epoch}`, length);
  return new HiddenEpochKeys({
    epoch,
    chunkId: derive('chunk-id'),
    cutter: derive('cutter', 8),
    chunk: derive('chunk'),
    manifest: derive('manifest'),
    column: derive('column'),
    signingKey: derive('signing-key'),
  });
}

/** Hex of 32 derived bytes, published in `epoch.json`: tells the right root key from a wrong one and reveals nothing else. */
export function rootKeyCommitment(rootKey: Uint8Array, clusterId: ClusterId, epoch: number): string {
  return deriveKey(rootKey, clusterId, `commitment/${epoch}`, 32).toString('hex');
}

/**
 * HMAC-SHA-256 key for what a host keeps of the repository to be faster; nothing stored there depends on it. `history` says
 * by which keys and which accepted past it was judged, so that another judgement has another key.
 */
export function deriveCatalogCacheKey(
  rootKey: Uint8Array,
  clusterId: ClusterId,
  epoch: number,
  history: Uint8Array,
): Buffer {
  return deriveKey(rootKey, clusterId, `catalog-cache/${epoch}/${Buffer.from(history).toString('hex')}`, 32);
}

function deriveKey(rootKey: Uint8Array, clusterId: ClusterId, label: string, length: number): Buffer {
  return Buffer.from(hkdfSync('sha256', rootKey, uuidBytes(clusterId), `enclave-manager/1/${label}`, length));
}

class HiddenEpochKeys implements EpochKeys {
  readonly epoch: number;
  readonly chunkId: Buffer;
  readonly cutter: Buffer;
  readonly chunk: Buffer;
  readonly manifest: Buffer;
  readonly column: Buffer;
  readonly signingKey: Buffer;

  constructor(keys: EpochKeys) {
    this.epoch = keys.epoch;
    this.chunkId = keys.chunkId;
    this.cutter = keys.cutter;
    this.chunk = keys.chunk;
    this.manifest = keys.manifest;
    this.column = keys.column;
    this.signingKey = keys.signingKey;
  }

  [inspect.custom](): string {
    return `EpochKeys { epoch: ${this.epoch}, <hidden> }`;
  }

  toJSON(): { epoch: number } {
    return { epoch: this.epoch };
  }
}
