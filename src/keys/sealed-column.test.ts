import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { deriveEpochKeys } from './epoch-keys.ts';
import { failureOf, fixedRandomness, memorySealing, newTestCluster } from './keyring.fixture.ts';
import { openKeyring } from './keyring.ts';
import { maxColumnBytes, openColumn, sealColumn, sealedColumnEpoch } from './sealed-column.ts';

const keys = deriveEpochKeys(Buffer.alloc(32, 1), '01932d3c-4800-7a11-8b22-c33d44e55f66', 3);
const keyring = { epochKeys: () => keys };
const place = { table: 'ca_keys', column: 'private_key', key: 'one' };
const randomness = fixedRandomness('columns');

describe('a sealed column', () => {
  it('gives back what was sealed, also nothing at all', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (plaintext) => {
        const sealed = sealColumn(keys, place, plaintext, randomness);
        expect(openColumn(keyring, place, sealed)).toEqual(Buffer.from(plaintext));
        expect(sealed).toHaveLength(plaintext.length + 33);
      }),
    );
    expect(sealedColumnEpoch(place, sealColumn(keys, place, Buffer.alloc(0), randomness))).toBe(3);
  });

  it('with any byte altered, or cut short, is damaged', async () => {
    const sealed = sealColumn(keys, place, Buffer.from('secret'), randomness);
    const altered = Array.from(sealed, (_, position) => {
      const copy = Buffer.from(sealed);
      copy[position]! ^= 1;
      return copy;
    });
    for (const bytes of [...altered, sealed.subarray(0, -1), sealed.subarray(0, 32), Buffer.alloc(0)]) {
      // The epoch picks the key; a keyring answers `no-key` for one it does not have.
      const failure = await failureOf(() => openColumn(wrongEpochRefused, place, bytes));
      expect(['damaged', 'no-key']).toContain(failure.code);
    }
    const { message } = await failureOf(() => openColumn(keyring, place, altered.at(-1)!));
    expect(message).toBe('The sealed value ca_keys.private_key of one was altered, or belongs to another row.');
  });

  it('opens in no other table, column or row', async () => {
    const sealed = sealColumn(keys, place, Buffer.from('secret'), randomness);
    const others = [
      { ...place, table: 'ca' },
      { ...place, column: 'x' },
      { ...place, key: 'two' },
    ];
    for (const other of others) {
      expect(await failureOf(() => openColumn(keyring, other, sealed))).toMatchObject({ code: 'damaged' });
    }
  });

  it('of an epoch that this host cannot open needs a key', async () => {
    const opened = await openKeyring(await newTestCluster('a'), memorySealing('a'));
    const sealed = sealColumn(keys, place, Buffer.from('secret'), randomness);
    expect(await failureOf(() => openColumn(opened, place, sealed))).toMatchObject({ code: 'no-key' });
    const own = sealColumn(opened.currentEpoch, place, Buffer.from('secret'), randomness);
    expect(openColumn(opened, place, own).toString()).toBe('secret');
  });

  it('has a limit', () => {
    expect(() => sealColumn(keys, place, Buffer.alloc(maxColumnBytes + 1), randomness)).toThrow(RangeError);
    expect(() => sealColumn(keys, { ...place, table: 'a\0b' }, Buffer.alloc(1), randomness)).toThrow(RangeError);
  });
});

const wrongEpochRefused = {
  epochKeys(epoch: number) {
    return epoch === 3 ? keys : deriveEpochKeys(Buffer.alloc(32, 2), '01932d3c-4800-7a11-8b22-c33d44e55f66', epoch);
  },
};
