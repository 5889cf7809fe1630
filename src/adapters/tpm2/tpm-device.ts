import { access, constants } from 'node:fs/promises';
import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { errnoName } from '#errors/file-system-error.ts';

/** Where the TPM is, and what reaches it. */
export interface TpmDevice {
  /** How tpm2-tools name it: `device:/dev/tpmrm0`, `swtpm:path=/run/tpm.sock`, `tabrmd`. */
  readonly tcti: string;
  /**
   * A file by whose lock the processes of this host take turns where no resource manager stands between: they would use each
   * other's handles. Its directory is made.
   */
  readonly lockFile?: string | undefined;
  /** Where tpm2_send is looked for; the usual directories unless given. */
  readonly searchPath?: string | undefined;
  /** How long one command may take; making an RSA key takes some chips half a minute. */
  readonly commandTimeoutMs?: number | undefined;
}

const devicePrefix = 'device:';

/** The kernel's resource manager, or that of tpm2-abrmd, keeps what each process loads apart. */
export const hasResourceManager = ({ tcti }: TpmDevice): boolean => /^(device:\/dev\/tpmrm|tabrmd)/.test(tcti);

/** Says what is wrong with a device file before the tool fails on it. Throws `sealing-unavailable`. */
export async function checkDeviceFile({ tcti }: TpmDevice): Promise<void> {
  if (!tcti.startsWith(devicePrefix)) return;
  const path = tcti.slice(devicePrefix.length);
  try {
    await access(path, constants.R_OK | constants.W_OK);
  } catch (error) {
    throw fileProblem(path, errnoName(error) ?? String(error), error);
  }
}

function fileProblem(path: string, code: string, cause: unknown): EnclaveManagerError {
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    return unavailable(
      `there is no TPM at ${path}`,
      'Switch the TPM on in the firmware setup, load its driver, or set ENCLAVE_MANAGER_TPM_TCTI.',
      cause,
    );
  }
  return unavailable(
    `the TPM at ${path} may not be used by this user (${code})`,
    'Add the user to the group that owns the device, on Debian: usermod -aG tss USER; it counts from the next login.',
    cause,
  );
}

/** What tpm2_send said when it ended without an answer, as a sentence for people. */
export function toolProblem({ tcti }: TpmDevice, complaint: string): EnclaveManagerError {
  if (/device or resource busy|EBUSY/i.test(complaint)) {
    return unavailable(
      `the TPM ${tcti} is busy: another program has it open`,
      'Use the device with the resource manager, device:/dev/tpmrm0, which programs may share.',
    );
  }
  if (/permission denied/i.test(complaint)) {
    return unavailable(
      `the TPM ${tcti} may not be used by this user`,
      'Add the user to the group that owns the device, on Debian: usermod -aG tss USER; it counts from the next login.',
    );
  }
  const reason = complaint.trim().split('\n').at(0)?.slice(0, 300) ?? '';
  return unavailable(
    `the TPM ${tcti} cannot be reached: ${reason === '' ? 'tpm2_send ended without an answer' : reason}`,
    'Check ENCLAVE_MANAGER_TPM_TCTI, and that the TPM, or what stands for it, runs.',
  );
}

export function toolMissing(cause: unknown): EnclaveManagerError {
  return unavailable(
    'tpm2_send cannot be started: tpm2-tools are not installed',
    'Install them, on Debian: apt-get install tpm2-tools.',
    cause,
  );
}

export function noAnswer({ tcti }: TpmDevice, waitedMs: number): EnclaveManagerError {
  return unavailable(
    `the TPM ${tcti} did not answer within ${Math.round(waitedMs / 1000)} s`,
    'Another program may be holding it: use device:/dev/tpmrm0, which programs may share, and try again.',
  );
}

export function unavailable(message: string, hint: string, cause?: unknown): EnclaveManagerError {
  return new EnclaveManagerError('sealing-unavailable', message, { hint, cause });
}
