import type { KeyObject } from 'node:crypto';
import type { Clock } from '#ports/clock.ts';
import type { Randomness } from '#ports/randomness.ts';
import { maxSecretBytes, type Sealing, type SealingRefusal } from '#ports/sealing.ts';
import type { PcrSelection } from '#model/tpm/pcr-selection.ts';
import { orPolicy } from '#model/tpm/policy.ts';
import { activateCredential, collectEvidence } from './evidence.ts';
import { openEndorsementKey } from './endorsement-key.ts';
import { readPcrValues } from './pcr-values.ts';
import { approvalKeyArea } from '#model/tpm/approval.ts';
import { readApprovals } from './approvals.ts';
import { beginPolicySession } from './policy-session.ts';
import { changedRegisters, clearedTpm, otherTpm } from './refusals.ts';
import { refusalAsUnavailable, TpmRefusal } from './response-code.ts';
import { satisfy } from './satisfy-policy.ts';
import { decodeSealed, encodeSealed, policyBranches, type Sealed } from '#attestation/tpm/sealed-layout.ts';
import { TpmClient } from './tpm-client.ts';
import type { TpmDevice } from './tpm-device.ts';
import { digestOfName, identityOfEndorsement } from '#attestation/tpm/public-area.ts';
import { createSealedObject, createStorageKey, loadSealedObject } from './tpm-keys.ts';

export interface Tpm2SealingOptions {
  readonly device: TpmDevice;
  /** For what is sealed from now on; what was sealed before carries its own. */
  readonly selection: PcrSelection;
  /** Whose holder may approve other registers, for what is sealed from now on. */
  readonly approvalKey: KeyObject | undefined;
  /** Where approvals lie. */
  readonly approvalsDirectory: string;
  readonly clock: Clock;
  readonly randomness: Randomness;
}

/**
 * Sealing in a TPM 2.0: to this chip, and to what was measured while this host started. Root on the running host can use the
 * chip as this program does; a disk, a backup or another host cannot.
 */
export function createTpm2Sealing(options: Tpm2SealingOptions): Sealing {
  const { device, clock } = options;
  const use = async <T>(work: (tpm: TpmClient) => Promise<T>): Promise<T> => {
    try {
      return await TpmClient.use(device, clock, work);
    } catch (error) {
      throw error instanceof TpmRefusal ? refusalAsUnavailable(error) : error;
    }
  };
  return {
    provider: 'tpm2',
    // The keys of a TPM follow from its seeds: there is nothing to make, but the device must be there.
    provision: () => use(async (tpm) => void (await createStorageKey(tpm))),
    hardwareIdentity: () => use(async (tpm) => identityOfEndorsement((await openEndorsementKey(tpm)).publicArea)),
    seal: async (secret) => {
      if (secret.length > maxSecretBytes) throw new RangeError(`at most ${maxSecretBytes} bytes can be sealed`);
      return await use((tpm) => seal(tpm, secret, options));
    },
    unseal: async (bytes) => {
      const sealed = decodeSealed(bytes);
      return sealed === undefined ? undefined : await use((tpm) => unseal(tpm, sealed, options));
    },
    evidence: {
      collect: () => use(collectEvidence),
      answer: async (bytes, challenge) => {
        const sealed = decodeSealed(bytes);
        if (sealed === undefined) return undefined;
        return await use((tpm) => activateCredential(tpm, sealed, challenge, options.randomness));
      },
    },
    measure: async () => {
      const values = await use((tpm) => readPcrValues(tpm, options.selection));
      return { selection: options.selection, values };
    },
    explain: async (bytes) => {
      const sealed = decodeSealed(bytes);
      return sealed === undefined ? undefined : await use((tpm) => explain(tpm, sealed));
    },
  };
}

async function seal(tpm: TpmClient, secret: Uint8Array, options: Tpm2SealingOptions): Promise<Buffer> {
  const { selection, approvalKey } = options;
  const endorsement = digestOfName((await openEndorsementKey(tpm)).name);
  const parent = await createStorageKey(tpm);
  const values = await readPcrValues(tpm, selection);
  const key = approvalKey === undefined ? undefined : approvalKeyArea(approvalKey);
  const header = { endorsement, parent: digestOfName(parent.name), selection, values, approvalKey: key };
  const object = await createSealedObject(tpm, parent, orPolicy(policyBranches(header)), secret);
  return encodeSealed({ header, object });
}

async function unseal(
  tpm: TpmClient,
  { header, object }: Sealed,
  { randomness, approvalsDirectory }: Tpm2SealingOptions,
): Promise<Buffer | undefined> {
  const parent = await createStorageKey(tpm);
  if (!digestOfName(parent.name).equals(header.parent)) return undefined;
  try {
    const handle = await loadSealedObject(tpm, parent, object);
    const session = await beginPolicySession(tpm, randomness);
    const approvals = () => readApprovals(approvalsDirectory);
    if (!(await satisfy(tpm, session, header, approvals))) return undefined;
    const response = await tpm.run('Unseal', { handles: [handle], authorizations: [session.handle] });
    const secret = response.sized();
    try {
      return Buffer.from(secret);
    } finally {
      secret.fill(0);
    }
  } catch (error) {
    if (error instanceof TpmRefusal && error.isAboutInput) return undefined;
    throw error;
  }
}

/** Told apart by what differs: the chip, its owner hierarchy, or the registers. */
async function explain(tpm: TpmClient, { header }: Sealed): Promise<SealingRefusal | undefined> {
  const endorsement = digestOfName((await openEndorsementKey(tpm)).name);
  if (!endorsement.equals(header.endorsement)) return otherTpm(header.endorsement, endorsement);
  const parent = await createStorageKey(tpm);
  if (!digestOfName(parent.name).equals(header.parent)) return clearedTpm();
  const values = await readPcrValues(tpm, header.selection);
  const changed = header.selection.indexes.filter((_, position) => !values[position]!.equals(header.values[position]!));
  return changed.length === 0 ? undefined : changedRegisters(changed, header.approvalKey !== undefined);
}
