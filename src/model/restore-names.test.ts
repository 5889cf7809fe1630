import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { timedId } from './identifiers.ts';
import { beforeName, beforePrefix, restoreOfName, stagingName, stagingPrefix } from './restore-names.ts';

const id = fc
  .tuple(
    fc.date({ min: new Date(0), max: new Date(Date.UTC(9999, 11, 31)), noInvalidDate: true }),
    fc.uint8Array({ minLength: 6, maxLength: 6 }),
  )
  .map(([time, random]) => timedId(time, random));
const liveName = fc.stringMatching(/^[a-z_][a-z0-9_]{0,19}$/);

describe('names of the databases that a restore makes', () => {
  it('give the restore back', () => {
    fc.assert(
      fc.property(liveName, id, (live, restoreId) => {
        expect(restoreOfName(live, stagingName(live, restoreId))).toEqual({ id: restoreId, role: 'staging' });
        expect(restoreOfName(live, beforeName(live, restoreId))).toEqual({ id: restoreId, role: 'before' });
      }),
    );
  });

  it('are lower case, begin with their prefix, and fit into 63 bytes', () => {
    const restoreId = '20261122T000000Z-k3f9q2';
    expect(stagingName('malbork', restoreId)).toBe('malbork_restore_20261122t000000z_k3f9q2');
    expect(beforeName('malbork', restoreId)).toBe('malbork_before_20261122t000000z_k3f9q2');
    expect(stagingName('malbork', restoreId).startsWith(stagingPrefix('malbork'))).toBe(true);
    expect(beforeName('malbork', restoreId).startsWith(beforePrefix('malbork'))).toBe(true);
    expect(stagingName('a'.repeat(31), restoreId)).toHaveLength(63);
  });

  it.each([
    'malbork',
    'malbork_restore_',
    'malbork_restore_mine',
    'malbork_restore_20261122t000000z',
    'malbork_restore_20261122t000000z_k3f9q2_x',
    'malbork_restore_20261122T000000Z_k3f9q2',
    'malbork_restore_20261122t000000z_K3F9Q2',
    'malbork2_restore_20261122t000000z_k3f9q2',
    'other_before_20261122t000000z_k3f9q2',
  ])('are no others: %s', (name) => {
    expect(restoreOfName('malbork', name)).toBeUndefined();
  });
});
