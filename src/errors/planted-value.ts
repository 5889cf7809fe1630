import { EnclaveManagerError } from './enclave-manager-error.ts';

/** A value in a row that no version of this program writes there: somebody else who may write rows did. `place` is table and column. */
export function plantedValue(place: string, value: string, hint = plantedValueHint): EnclaveManagerError {
  return new EnclaveManagerError('damaged', `${place} in the database is ${value}, which nothing here writes there`, {
    hint,
  });
}

export const plantedValueHint =
  'Find out who else writes to the database, then restore a backup from before: restore run ID --without-safety-backup. Where that meets the value too, rename the database first.';
