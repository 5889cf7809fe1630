/** The owner marker at the repository's root: which cluster may write here (docs/backup-format.md, "Marker"). */
import { z } from 'zod';

import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { OpenedKeyring } from '#keys/keyring.ts';
import { parseDocument, parsePayload } from '#keys/signed-document.ts';

import { formatVersion, markerPath } from './layout.ts';
import { checkedPayload, ordinal, timestamp, uuid } from './signed-payload.ts';

const markerSchema = z.object({ formatVersion: ordinal, clusterId: uuid, createdAt: timestamp });

export interface Marker {
  readonly formatVersion: number;
  readonly clusterId: string;
  readonly createdAt: string;
}

export function encodeMarker(keyring: OpenedKeyring, createdAt: Date): Buffer {
  const marker: Marker = { formatVersion, clusterId: keyring.clusterId, createdAt: createdAt.toISOString() };
  return keyring.sign('marker', marker);
}

/** Whose repository this says it is. Needs no keys, and so proves nothing. `damaged`, `version-incompatible`. */
export function readMarker(bytes: Uint8Array): Marker {
  const document = parseDocument(bytes, 'marker');
  const marker = checked(parsePayload(document));
  if (marker.clusterId !== document.clusterId) {
    throw new EnclaveManagerError(
      'damaged',
      `${markerPath} names two clusters: ${marker.clusterId} and ${document.clusterId}`,
    );
  }
  return marker;
}

/** The marker, if this cluster signed it; else `forged`. */
export function openMarker(keyring: OpenedKeyring, bytes: Uint8Array): Marker {
  return checked(keyring.verify('marker', bytes));
}

function checked(payload: unknown): Marker {
  const marker = checkedPayload(markerSchema, markerPath, payload);
  if (marker.formatVersion <= formatVersion) return marker;
  throw new EnclaveManagerError(
    'version-incompatible',
    `the repository has format ${marker.formatVersion}; this program reads and writes ${formatVersion}`,
  );
}
