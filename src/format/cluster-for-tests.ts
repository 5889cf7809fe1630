import { createHash } from 'node:crypto';

import { type KeyringDocument, newClusterKeyring, openKeyring, type OpenedKeyring } from '#keys/keyring.ts';
import type { Clock } from '#ports/clock.ts';
import type { Randomness } from '#ports/randomness.ts';
import type { Sealing } from '#ports/sealing.ts';

let drawn = 0;

/** Other bytes each time, the same in every run. */
export const testRandomness: Randomness = {
  bytes: (length) => {
    const blocks = Array.from({ length: Math.ceil(length / 32) }, () =>
      createHash('sha256').update(`${drawn++}`).digest(),
    );
    return Buffer.concat(blocks).subarray(0, length);
  },
};

const fixedClock: Clock = {
  now: () => new Date('2026-11-22T00:00:00.000Z'),
  monotonicMs: () => 0,
  sleep: async () => undefined,
};

/** Sealing that hides nothing: it tells its own bytes from others by a prefix. */
function openSealing(name: string): Sealing {
  return {
    provider: 'software',
    provision: async () => undefined,
    hardwareIdentity: async () => `software:${name}`,
    seal: async (secret) => Buffer.concat([Buffer.from(name), secret]),
    unseal: async (sealed) => {
      const bytes = Buffer.from(sealed);
      const isOwn = bytes.subarray(0, name.length).toString() === name;
      return isOwn ? bytes.subarray(name.length) : undefined;
    },
  };
}

/** A new cluster of one host, in memory. */
export async function newTestCluster(): Promise<{ keyring: OpenedKeyring; documents: KeyringDocument[] }> {
  const sealing = openSealing(testRandomness.bytes(4).toString('hex'));
  const ports = { sealing, clock: fixedClock, randomness: testRandomness };
  const { documents } = await newClusterKeyring(ports, { name: 'tokyo-1', site: null });
  return { keyring: await openKeyring(documents, sealing), documents };
}
