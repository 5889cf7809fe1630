import { createHash } from 'node:crypto';

import type { Randomness } from '#ports/randomness.ts';

/** "Random" bytes that are the same in every run: SHA-256 of the seed and a counter. For test vectors only. */
export function fixedRandomness(seed: string): Randomness {
  let counter = 0;
  return {
    bytes: (length) => {
      const blocks: Buffer[] = [];
      for (let size = 0; size < length; size += 32) {
        blocks.push(createHash('sha256').update(`${seed}/${counter++}`).digest());
      }
      return Buffer.concat(blocks).subarray(0, length);
    },
  };
}
