import { isEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { checkDeviceFile, type TpmDevice } from './tpm-device.ts';
import { TpmConnection } from './tpm-connection.ts';

export type TpmPresence = { readonly found: true } | { readonly found: false; readonly why: string };

/**
 * Whether a TPM can be used here: the device is there, this user may open it, the tools are installed. Throws
 * `sealing-unavailable` for one that can, and does not answer: another time it would.
 */
export async function findTpm(device: TpmDevice & { readonly named: boolean }): Promise<TpmPresence> {
  try {
    await checkDeviceFile(device);
    await TpmConnection.checkTool(device);
  } catch (error) {
    // Somebody who names a device means it.
    if (device.named || !isEnclaveManagerError(error, 'sealing-unavailable')) throw error;
    return { found: false, why: error.message };
  }
  await (await TpmConnection.open(device)).close();
  return { found: true };
}
