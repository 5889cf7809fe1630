import { type Approval, approvalReference } from '#model/tpm/approval.ts';
import { approvalDigest, pcrPolicy } from '#model/tpm/policy.ts';
import { sized, uint16, uint32 } from '#model/tpm/wire.ts';
import { readPcrValues } from './pcr-values.ts';
import type { AuthorizedPolicy, PolicySession } from './policy-session.ts';
import { TpmRefusal } from './response-code.ts';
import { policyBranches, type SealedHeader } from '#attestation/tpm/sealed-layout.ts';
import type { TpmClient } from './tpm-client.ts';
import { nameOf } from '#attestation/tpm/public-area.ts';

const ownerHierarchy = 0x4000_0001;
const algorithms = { sha256: 0x000b, ecdsa: 0x0018 } as const;

/** Satisfies the policy of a sealed object; `false` when this host started otherwise, and nobody approved how. */
export async function satisfy(
  tpm: TpmClient,
  session: PolicySession,
  header: SealedHeader,
  readApprovals: () => Promise<readonly Approval[]>,
): Promise<boolean> {
  const { selection, values, approvalKey } = header;
  if (sameValues(await readPcrValues(tpm, selection), values)) {
    await session.satisfyRegisters(selection);
  } else {
    if (approvalKey === undefined) return false;
    const approved = await findApproved(tpm, approvalKey, await readApprovals());
    if (approved === undefined) return false;
    await session.satisfyRegisters(approved.approval.selection);
    await session.satisfyAuthorized(approved.authorized);
  }
  await session.satisfyOneOf(policyBranches(header));
  return true;
}

interface Approved {
  readonly approval: Approval;
  readonly authorized: AuthorizedPolicy;
}

/** The first approval that is for what runs now, and that the approval key signed. */
async function findApproved(
  tpm: TpmClient,
  approvalKey: Buffer,
  approvals: readonly Approval[],
): Promise<Approved | undefined> {
  for (const approval of approvals) {
    if (!sameValues(await readPcrValues(tpm, approval.selection), approval.values)) continue;
    const policy = pcrPolicy(approval.selection, approval.values);
    const ticket = await verify(tpm, approvalKey, policy, approval.signature);
    if (ticket === undefined) continue;
    return { approval, authorized: { policy, reference: approvalReference, keyName: nameOf(approvalKey), ticket } };
  }
  return undefined;
}

async function verify(
  tpm: TpmClient,
  approvalKey: Buffer,
  policy: Buffer,
  signature: Buffer,
): Promise<Buffer | undefined> {
  const { handle } = await tpm.load('LoadExternal', {
    parameters: [sized(), sized(approvalKey), uint32(ownerHierarchy)],
  });
  try {
    const [r, s] = [signature.subarray(0, 32), signature.subarray(32)];
    const encoded = Buffer.concat([uint16(algorithms.ecdsa), uint16(algorithms.sha256), sized(r), sized(s)]);
    const parameters = [sized(approvalDigest(policy, approvalReference)), encoded];
    const response = await tpm.run('VerifySignature', { handles: [handle], parameters });
    return response.bytes(response.remaining);
  } catch (error) {
    if (error instanceof TpmRefusal && error.isAboutInput) return undefined;
    throw error;
  } finally {
    await tpm.unload(handle);
  }
}

const sameValues = (present: readonly Buffer[], wanted: readonly Buffer[]): boolean =>
  present.length === wanted.length && present.every((value, position) => value.equals(wanted[position]!));
