import { deriveEpochKeys, type EpochKeys } from '#keys/epoch-keys.ts';
import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { ColumnKeys } from '#store/sealed-values.ts';

const clusterId = '01890a5d-ac96-774b-bcce-b302099a8057';

/** The column keys of a cluster whose newest epoch is `current`, with all epochs up to it. */
export function columnKeys(current: number): ColumnKeys {
  const keysOf = (epoch: number): EpochKeys => deriveEpochKeys(Buffer.alloc(32, epoch), clusterId, epoch);
  return {
    currentEpoch: keysOf(current),
    epochKeys: (epoch) => {
      if (epoch < 1 || epoch > current) throw new EnclaveManagerError('no-key', `no key for epoch ${epoch}`);
      return keysOf(epoch);
    },
  };
}
