import { describe, expect, it } from 'vitest';
import { deriveEpochKeys } from '#keys/epoch-keys.ts';
import { sealColumn } from '#keys/sealed-column.ts';
import { importMarkerTable } from '#store/import-marker.ts';
import { readImportCheck } from './import-check.ts';

const clusterId = '01890a5d-ac96-774b-bcce-b302099a8057';
const epochKeys = (epoch: number) => deriveEpochKeys(Buffer.alloc(32, epoch), clusterId, epoch);
const keyring = { currentEpoch: epochKeys(2), epochKeys };
const place = { table: importMarkerTable, column: 'sealed_check', key: 'database manifest' };
/** The same each time: nothing here is kept secret by it. */
const randomness = { bytes: (length: number) => Buffer.alloc(length, 7) };
const check = { notCompared: null, differences: [], acceptedFor: null };

describe('what a manager found about an import', () => {
  const sealedUnder = (epoch: number) => {
    const sealedCheck = sealColumn(epochKeys(epoch), place, Buffer.from(JSON.stringify(check)), randomness);
    return { keyring, marker: { sealedCheck } };
  };

  it('counts under the current epoch for this database and manifest', () => {
    expect(readImportCheck(sealedUnder(2), place)).toEqual(check);
    expect(readImportCheck(sealedUnder(2), { ...place, key: 'another' })).toBeUndefined();
  });

  it('counts for nothing where a host that was evicted could have sealed it', () => {
    expect(readImportCheck(sealedUnder(1), place)).toBeUndefined();
  });
});
