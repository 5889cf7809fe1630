import { readFileSync } from 'node:fs';

import { describe, expect, it } from 'vitest';

import { openDetails } from './manifest-details.ts';

interface Vector {
  readonly backupId: string;
  readonly epoch: number;
  readonly manifestKey: string;
  readonly encrypted: string;
  readonly details: unknown;
}

const vector = JSON.parse(readFileSync('test/vectors/manifest.json', 'utf8')) as Vector;
const keys = { epoch: vector.epoch, manifest: Buffer.from(vector.manifestKey, 'hex') };
const sealed = Buffer.from(vector.encrypted, 'base64');

describe('the encrypted part of a manifest', () => {
  it('opens as the test vector says', () => {
    expect(openDetails(keys, vector.backupId, sealed)).toEqual(vector.details);
  });

  it('opens for no other backup and no other epoch, and not when it is cut short', () => {
    const damaged = expect.objectContaining({ code: 'damaged' }) as Error;
    expect(() => openDetails(keys, '20261122T000001Z-k3f9q2', sealed)).toThrow(damaged);
    expect(() => openDetails({ ...keys, epoch: 5 }, vector.backupId, sealed)).toThrow(damaged);
    for (const length of [0, 27, 28, sealed.length - 1]) {
      expect(() => openDetails(keys, vector.backupId, sealed.subarray(0, length))).toThrow(damaged);
    }
  });
});
