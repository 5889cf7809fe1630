import { keyringPrefix } from '#format/layout.ts';
import type { OpenedKeyring } from '#keys/keyring.ts';
import { documentLimits } from '#keys/signed-document.ts';
import type { KeyringGaps } from '#model/keyring-gaps.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import { damagedAsAbsent } from './damaged-as-absent.ts';
import { listBounded } from './list-bounded.ts';

/** What a repository lacks of the keyring that it was opened with beside the live database. */
export async function findKeyringGaps(store: ObjectStore, keyring: OpenedKeyring): Promise<KeyringGaps> {
  const present = new Set<string>();
  for await (const { key } of listBounded(store, keyringPrefix)) present.add(key);
  const rejected = new Set(keyring.rejected.map(({ path }) => path));
  const missing: string[] = [];
  const replaced: string[] = [];
  for (const { path, bytes } of keyring.documents) {
    if (!present.has(path)) missing.push(path);
    else if (rejected.has(path) && !(await holds(store, path, bytes))) replaced.push(path);
  }
  return { missing, replaced };
}

/** What was rejected may lie in the database. */
async function holds(store: ObjectStore, path: string, bytes: Buffer): Promise<boolean> {
  const stored = await store.get(path, { maxBytes: documentLimits.epoch }).catch(damagedAsAbsent);
  return stored?.equals(bytes) === true;
}
