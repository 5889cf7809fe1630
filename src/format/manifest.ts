/** The manifest of one backup; its existence is the commit (docs/backup-format.md, "Manifest"). */
import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { OpenedKeyring } from '#keys/keyring.ts';
import { parseDocument, parsePayload } from '#keys/signed-document.ts';
import type { BackupId } from '#model/identifiers.ts';
import type { Randomness } from '#ports/randomness.ts';

import { manifestPath } from './layout.ts';
import { openDetails, sealDetails } from './manifest-details.ts';
import type { ClearManifest, Manifest } from './manifest-parts.ts';
import { clearContradiction, wholeContradiction } from './manifest-rules.ts';
import { manifestSchema, manifestSchemaAfter, maxObjects, type StoredManifest } from './manifest-schema.ts';
import type { ReadReferences } from './object-list.ts';
import { checkedPayload } from './signed-payload.ts';

export type { ChunkReference, ClearManifest, Manifest, ObjectReference, TableManifest } from './manifest-parts.ts';
export { manifestTotals } from './manifest-rules.ts';

/** The bytes of `backups/<id>.json`. `configuration` for more objects than a manifest can name. */
export function encodeManifest(keyring: OpenedKeyring, manifest: Manifest, randomness: Randomness): Buffer {
  const { summary, migrations, objects, tables, warnings } = manifest;
  if (objects.length > maxObjects) {
    throw new EnclaveManagerError(
      'configuration',
      `the backup has ${objects.length} chunks; a manifest names at most ${maxObjects}`,
    );
  }
  const keys = keyring.epochKeys(summary.epochs.at(-1) ?? 0);
  const sealed = sealDetails(keys, summary.id, { tables, warnings }, randomness);
  const payload = manifestSchema.parse({
    summary,
    migrations,
    objects,
    keyring: manifest.keyring.map(({ path, bytes }) => ({ path, bytes: bytes.toString('base64') })),
    encrypted: { epoch: keys.epoch, bytes: sealed.toString('base64') },
  });
  const contradiction = clearContradiction(keyring.clusterId, payload) ?? wholeContradiction(manifest);
  if (contradiction !== undefined) throw new Error(`a manifest that contradicts itself: ${contradiction}`);
  return keyring.sign('manifest', payload);
}

/** What a manifest says, without keys and so without proof. `damaged`, `version-incompatible`. */
export function readManifestSummary(bytes: Uint8Array): ClearManifest {
  const document = parseDocument(bytes, 'manifest');
  const stored = checkedPayload(manifestSchema, 'the manifest', parsePayload(document));
  throwContradiction(`the manifest of backup ${stored.summary.id}`, clearContradiction(document.clusterId, stored));
  return clearPart(stored);
}

/**
 * Opens one of many manifests: what it says without its encrypted part, if this cluster signed it. Objects that are in
 * `read` come from there. `forged`, `damaged`, `version-incompatible`.
 */
export function openerOfSummaries(
  keyring: OpenedKeyring,
  read: ReadReferences,
): (bytes: Uint8Array) => Promise<ClearManifest> {
  const schema = manifestSchemaAfter(read);
  return async (bytes) => {
    const payload = await keyring.verifyAside('manifest', bytes);
    return clearPart(coherentManifest(keyring, 'the manifest', checkedPayload(schema, 'the manifest', payload)));
  };
}

/**
 * The whole manifest, if this cluster signed it for this backup. `forged`; `no-key` for an epoch this host cannot open;
 * `damaged` where it lies under another name, does not decrypt, or contradicts itself.
 */
export function openManifest(keyring: OpenedKeyring, backupId: BackupId, bytes: Uint8Array): Manifest {
  const path = manifestPath(backupId);
  const stored = authenticManifest(keyring, path, bytes);
  if (stored.summary.id !== backupId) {
    throw new EnclaveManagerError('damaged', `${path} holds the manifest of backup ${stored.summary.id}`);
  }
  const keys = keyring.epochKeys(stored.encrypted.epoch);
  const details = openDetails(keys, backupId, Buffer.from(stored.encrypted.bytes, 'base64'));
  const manifest = { ...clearPart(stored), ...details };
  throwContradiction(path, wholeContradiction(manifest));
  return manifest;
}

/** What is not signed is not even parsed. */
function authenticManifest(keyring: OpenedKeyring, what: string, bytes: Uint8Array): StoredManifest {
  return coherentManifest(keyring, what, checkedPayload(manifestSchema, what, keyring.verify('manifest', bytes)));
}

function coherentManifest(keyring: OpenedKeyring, what: string, stored: StoredManifest): StoredManifest {
  throwContradiction(what, clearContradiction(keyring.clusterId, stored));
  return stored;
}

function clearPart({ summary, migrations, objects, keyring }: StoredManifest): ClearManifest {
  const documents = keyring.map(({ path, bytes }) => ({ path, bytes: Buffer.from(bytes, 'base64') }));
  return { summary, migrations, objects, keyring: documents };
}

function throwContradiction(what: string, contradiction: string | undefined): void {
  if (contradiction !== undefined) {
    throw new EnclaveManagerError('damaged', `${what} contradicts itself: ${contradiction}`);
  }
}
