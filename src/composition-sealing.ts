/** Which provider seals the key of this host: what was set, what was decided before, or what hardware there is. */
import type { KeyObject, X509Certificate } from 'node:crypto';
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { EnclaveManagerError, toEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { Configuration } from '#config/configuration.ts';
import { openLocalState } from '#adapters/data-directory/local-state.ts';
import { createSgxSealing } from '#adapters/sgx/sgx-sealing.ts';
import { createSoftwareSealing } from '#adapters/software/software-sealing.ts';
import { systemClock } from '#adapters/system/clock.ts';
import { systemRandomness } from '#adapters/system/randomness.ts';
import { readText } from '#adapters/system/read-text.ts';
import { findTpm } from '#adapters/tpm2/find-tpm.ts';
import { createTpm2Sealing } from '#adapters/tpm2/tpm2-sealing.ts';
import { collateralSchema, type Collateral } from '#attestation/collateral.ts';
import { readTpmAuthorities } from '#attestation/tpm/endorsement-certificate.ts';
import type { HardwareTrust } from '#operations/hardware-trust.ts';
import { parseApprovalKey } from '#model/tpm/approval.ts';
import type { Sealing, SealingProvider } from '#ports/sealing.ts';

export interface SealingChoice {
  readonly provider: SealingProvider;
  /** A clause for people: why this one. */
  readonly why: string;
}

export interface OpenedSealing extends SealingChoice {
  readonly sealing: Sealing;
}

/**
 * `joining`: this host is about to be enrolled, and may choose another provider than before. Throws `configuration` when what
 * is set is not what sealed the key, `sealing-unavailable` for a device that is there and does not answer.
 */
export async function openSealing(
  configuration: Configuration,
  options: { readonly joining: boolean },
): Promise<OpenedSealing> {
  const recorded = (await openLocalState(configuration.dataDirectory).read())?.sealingProvider;
  const choice = await chooseSealing(configuration, options.joining ? undefined : recorded);
  return { ...choice, sealing: await makeSealing(choice.provider, configuration, recorded !== undefined) };
}

async function chooseSealing(
  configuration: Configuration,
  recorded: SealingProvider | undefined,
): Promise<SealingChoice> {
  const { choice } = configuration.sealing;
  if (choice !== 'auto') {
    if (recorded !== undefined && recorded !== choice) throw otherThanRecorded(choice, recorded);
    return { provider: choice, why: 'set by ENCLAVE_MANAGER_SEALING' };
  }
  if (recorded !== undefined) return { provider: recorded, why: 'decided when this host joined the cluster' };
  return await findHardware(configuration);
}

/** Best first; what is decided here is recorded once this host belongs to a cluster. */
async function findHardware({ sealing, database }: Configuration): Promise<SealingChoice> {
  if (await isThere(sealing.keyFile)) return { provider: 'software', why: `its key file ${sealing.keyFile} is there` };
  if (await isThere(join(sealing.sgxDirectory, 'keys', '_sgx_mrsigner'))) {
    return { provider: 'sgx', why: `this is an SGX enclave: ${sealing.sgxDirectory} has its keys` };
  }
  const tpm = await findTpm(sealing.tpm);
  if (tpm.found) return { provider: 'tpm2', why: `a TPM answers at ${sealing.tpm.tcti}` };
  if (database.kind === 'embedded') return { provider: 'software', why: `no hardware can be used: ${tpm.why}` };
  throw new EnclaveManagerError(
    'configuration',
    `ENCLAVE_MANAGER_SEALING is auto, and no sealing hardware can be used with this external database: ${tpm.why}`,
    { hint: 'Set ENCLAVE_MANAGER_SEALING=software to accept a key file in place of hardware.' },
  );
}

const maxCollateralBytes = 16 * 1024 * 1024;

async function isThere(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}

async function makeSealing(
  provider: SealingProvider,
  { sealing, dataDirectory }: Configuration,
  keyExpected: boolean,
): Promise<Sealing> {
  const ports = { clock: systemClock, randomness: systemRandomness };
  switch (provider) {
    case 'software':
      return createSoftwareSealing({ keyFile: sealing.keyFile, keyExpected, ...ports });
    case 'tpm2':
      return createTpm2Sealing({
        device: { tcti: sealing.tpm.tcti, lockFile: join(dataDirectory, 'state', 'tpm.lock') },
        selection: sealing.tpm.selection,
        approvalKey: await readApprovalKey(sealing.tpm.approvalKeyFile),
        approvalsDirectory: sealing.tpm.approvalsDirectory,
        ...ports,
      });
    case 'sgx':
      return createSgxSealing({ directory: sealing.sgxDirectory, ...ports });
  }
}

async function readApprovalKey(file: string | undefined): Promise<KeyObject | undefined> {
  if (file === undefined) return undefined;
  const key = parseApprovalKey(await readKeyFile(file));
  if (key !== undefined) return key;
  throw new EnclaveManagerError('configuration', `${file} is not an EC P-256 public key in PEM`, {
    hint: 'Make the pair where no host can reach it: openssl ecparam -name prime256v1 -genkey -noout -out approval.key; openssl ec -in approval.key -pubout -out approval.pub. Give the .pub here.',
  });
}

/** Whose word counts for the hardware of hosts that are enrolled. */
export async function openHardwareTrust(configuration: Configuration): Promise<HardwareTrust> {
  const { sgxCollateralFile, sgxSigners: signers } = configuration.sealing;
  const tpmAuthorities = await openTpmAuthorities(configuration);
  if (sgxCollateralFile === undefined) return { tpmAuthorities };
  return { tpmAuthorities, sgx: { collateral: await readCollateral(sgxCollateralFile), signers } };
}

async function readCollateral(file: string): Promise<readonly Collateral[]> {
  try {
    const value: unknown = JSON.parse(await readText(file, process.stdin, maxCollateralBytes));
    return z.array(collateralSchema).parse(Array.isArray(value) ? value : [value]);
  } catch (error) {
    const reason =
      error instanceof z.ZodError ? `${error.issues[0]?.path.join('.')} is missing or wrong` : String(error);
    throw new EnclaveManagerError('configuration', `ENCLAVE_MANAGER_SGX_COLLATERAL=${file} cannot be used: ${reason}`, {
      hint: 'Name a file with the collateral of a platform as JSON, or a list of them, or unset it.',
      cause: error,
    });
  }
}

async function openTpmAuthorities({ sealing }: Configuration): Promise<readonly X509Certificate[]> {
  const file = sealing.tpm.authoritiesFile;
  if (file === undefined) return [];
  try {
    return readTpmAuthorities(await readText(file, process.stdin));
  } catch (error) {
    throw new EnclaveManagerError(
      'configuration',
      `ENCLAVE_MANAGER_TPM_AUTHORITIES=${file}: ${toEnclaveManagerError(error).message}`,
      { hint: 'Name a file with the PEM certificates of makers of TPMs, or unset it.', cause: error },
    );
  }
}

async function readKeyFile(file: string): Promise<string> {
  try {
    return await readText(file, process.stdin);
  } catch (error) {
    throw new EnclaveManagerError('configuration', `the approval key: ${toEnclaveManagerError(error).message}`, {
      hint: 'Set ENCLAVE_MANAGER_TPM_APPROVAL_KEY to a public key in PEM that this user may read.',
      cause: error,
    });
  }
}

function otherThanRecorded(choice: SealingProvider, recorded: SealingProvider): EnclaveManagerError {
  return new EnclaveManagerError(
    'configuration',
    `ENCLAVE_MANAGER_SEALING is ${choice}, but the key of this host was sealed by ${recorded}`,
    {
      hint: `Unset ENCLAVE_MANAGER_SEALING, or set ${recorded}. To seal by ${choice}, enrol this host anew with that setting: node invite on another host, node enrol here.`,
    },
  );
}
