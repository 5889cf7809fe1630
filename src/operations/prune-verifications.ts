import { encodeVerification } from '#format/verification.ts';
import { verificationPath } from '#format/layout.ts';
import { timedId } from '#model/identifiers.ts';
import { graceIsOver } from '#model/prune-rules.ts';
import { idleVerifications, readingsToSpellOut } from '#model/readings.ts';
import type { OperationContext } from './context.ts';
import type { PrunedRepository } from './plan-prune.ts';
import type { CatalogBackup, StoredVerification } from './read-catalog.ts';

const namesOf = ({ entry, objects }: CatalogBackup) => ({ id: entry.id, objects: objects.map(({ name }) => name) });

/** Before manifests go: writes down what was known of objects only through them. Repeated after a crash it says the same again. */
export async function keepReadings(
  context: OperationContext,
  { store, keyring }: PrunedRepository,
  plan: {
    readonly kept: readonly CatalogBackup[];
    readonly removed: readonly CatalogBackup[];
    readonly verifications: readonly StoredVerification[];
  },
): Promise<void> {
  if (plan.removed.length === 0) return;
  const spelled = readingsToSpellOut(plan.kept.map(namesOf), plan.removed.map(namesOf), plan.verifications);
  for (const { of, backups, objects } of spelled) {
    const { level, at, nodeId } = of;
    const verificationId = timedId(context.clock.now(), context.randomness.bytes(6));
    // Stored late and read early: of what was read since then it says nothing.
    const facts = {
      verificationId,
      backups,
      level,
      at,
      readingMs: null,
      nodeId,
      passed: true,
      objects,
      bad: [],
      drill: null,
    };
    await store.put(verificationPath(verificationId), encodeVerification(keyring, facts));
  }
}

/** Verifications that nothing needs any more. Young ones stay: their backup may be about to be listed. */
export function findIdleVerifications(
  kept: readonly CatalogBackup[],
  verifications: readonly StoredVerification[],
  now: Date,
  graceMs: number,
): StoredVerification[] {
  return idleVerifications(kept.map(namesOf), verifications).filter(({ modifiedAt }) =>
    graceIsOver(modifiedAt.getTime(), now.getTime(), graceMs),
  );
}
