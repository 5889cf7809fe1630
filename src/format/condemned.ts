/** Signed lists of the objects that pruning will delete after a grace (docs/backup-format.md, "Condemned objects"). */
import { z } from 'zod';

import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { OpenedKeyring } from '#keys/keyring.ts';
import type { NodeId } from '#model/identifiers.ts';

import { condemnedPath } from './layout.ts';
import { maxObjects } from './manifest-schema.ts';
import { checkedPayload, isStrictlyAscending, objectName, timedIdentifier, timestamp, uuid } from './signed-payload.ts';

export interface Condemned {
  readonly condemnedId: string;
  /** For people; the grace is measured by the store's modification time. */
  readonly at: string;
  readonly nodeId: NodeId;
  /** Sorted; may be empty. */
  readonly objects: readonly string[];
}

/** Objects that one document names at most. */
export const maxCondemned = maxObjects;

const condemnedSchema = z.object({
  condemnedId: timedIdentifier,
  at: timestamp,
  nodeId: uuid,
  objects: z.array(objectName).max(maxCondemned).refine(isStrictlyAscending, 'is not sorted, or has duplicates'),
});

export function encodeCondemned(keyring: OpenedKeyring, condemned: Condemned): Buffer {
  return keyring.sign('condemned', condemnedSchema.parse(condemned));
}

/** `forged` unless this cluster signed it, `damaged` where it does not fit or lies under another name. */
export function openCondemned(keyring: OpenedKeyring, condemnedId: string, bytes: Uint8Array): Condemned {
  const path = condemnedPath(condemnedId);
  const condemned = checkedPayload(condemnedSchema, path, keyring.verify('condemned', bytes));
  if (condemned.condemnedId === condemnedId) return condemned;
  throw new EnclaveManagerError('damaged', `${path} holds condemned document ${condemned.condemnedId}`);
}
