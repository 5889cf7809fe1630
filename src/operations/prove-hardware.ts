import type { X509Certificate } from 'node:crypto';
import { checkEndorsementCertificate } from '#attestation/tpm/endorsement-certificate.ts';
import { readTpmEvidence, type TpmEvidence } from '#attestation/tpm/evidence.ts';
import { makeCredential } from '#attestation/tpm/make-credential.ts';
import { EnclaveManagerError, isEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import {
  evidenceBinding,
  type HardwareProof,
  isRightAnswer,
  type JoinRequest,
  newJoinChallenge,
} from '#keys/enrolment.ts';
import { sameToken } from '#keys/join-token.ts';
import type { OpenedInvite } from '#store/invites.ts';
import { challengeJoinRequest, type JoinRequest as StoredRequest } from '#store/join-requests.ts';
import type { Cluster, OperationContext } from './context.ts';
import type { HardwareTrust } from './hardware-trust.ts';
import { proveEnclave } from './prove-enclave.ts';

interface Joining {
  readonly stored: StoredRequest;
  readonly request: JoinRequest;
  readonly invite: OpenedInvite;
}

/**
 * What a joining host proved of its hardware. A host with a TPM is challenged when it is first seen, and there is nothing to
 * say before it has answered: `undefined`. An SGX enclave signs its request. Throws `not-permitted` or `evidence-rejected` for a host that shows something else
 * than it claims, or than it was invited for.
 */
export async function proveHardware(
  context: OperationContext,
  cluster: Cluster,
  joining: Joining,
  trust: HardwareTrust,
): Promise<HardwareProof | undefined> {
  const { request, invite } = joining;
  const { node } = request;
  checkInvited(invite, node.hardwareIdentity);
  if (request.evidence === undefined) {
    if (invite.hardwareIdentity !== undefined) throw notProved(invite.hardwareIdentity);
    return { grade: 'unattested', isProved: false };
  }
  if (node.sealingProvider === 'sgx') return proveByQuote(context, joining, request.evidence, trust);
  return await proveByChallenge(context, cluster, joining, request.evidence, trust);
}

/** A quote is signed over this request, so there is nothing to wait for. */
function proveByQuote(
  { clock, progress }: OperationContext,
  { stored, request, invite }: Joining,
  evidence: string,
  { sgx }: HardwareTrust,
): HardwareProof {
  const { node, clusterId } = request;
  const { hardwareIdentity } = node;
  const binding = evidenceBinding(stored.inviteId, clusterId, node);
  const quote = Buffer.from(evidence, 'base64');
  const proof = sgx && proveEnclave(quote, { hardwareIdentity, binding }, sgx, clock.now());
  if (proof !== undefined) return proof;
  if (invite.hardwareIdentity !== undefined) throw notProved(invite.hardwareIdentity);
  progress.note(
    `nothing here vouches for the enclave of a joining host, ${hardwareIdentity}: set ENCLAVE_MANAGER_SGX_COLLATERAL and _SGX_SIGNERS`,
  );
  return { grade: 'unattested', isProved: false };
}

async function proveByChallenge(
  context: OperationContext,
  cluster: Cluster,
  { stored, request, invite }: Joining,
  shown: string,
  { tpmAuthorities = [] }: HardwareTrust,
): Promise<HardwareProof | undefined> {
  const { node } = request;
  const evidence = readTpmEvidence(Buffer.from(shown, 'base64'), {
    hardwareIdentity: node.hardwareIdentity,
    sealedCredential: Buffer.from(node.sealedCredential, 'base64'),
  });
  if (stored.challenge === null) {
    const { endorsementArea, objectName } = evidence;
    const challenge = await newJoinChallenge(cluster.keyring, stored, node, (secret) =>
      makeCredential(endorsementArea, objectName, secret, context.randomness.bytes(32)),
    );
    await challengeJoinRequest(cluster.database.queries, stored.joinRequestId, challenge);
    return undefined;
  }
  if (stored.answer === null) return undefined;
  if (!isRightAnswer(cluster.keyring, stored, stored.answer)) throw notProved(node.hardwareIdentity);
  return { grade: gradeOf(context, evidence, invite, tpmAuthorities), isProved: true };
}

/** A maker's certificate, else the word of whoever invited: they compared the identity on the host itself. */
function gradeOf(
  context: OperationContext,
  { certificate, endorsementArea }: TpmEvidence,
  invite: OpenedInvite,
  authorities: readonly X509Certificate[],
): HardwareProof['grade'] {
  if (certificate !== undefined && authorities.length > 0) {
    try {
      checkEndorsementCertificate(certificate, endorsementArea, authorities, context.clock.now());
      return 'tpm2-certified';
    } catch (error) {
      if (!isEnclaveManagerError(error, 'evidence-rejected')) throw error;
      context.progress.note(`the certificate of a joining host does not count: ${error.message}`);
    }
  }
  return invite.hardwareIdentity === undefined ? 'unattested' : 'tpm2-confirmed';
}

function checkInvited({ hardwareIdentity }: OpenedInvite, shown: string): void {
  if (hardwareIdentity === undefined || hardwareIdentity === shown) return;
  throw new EnclaveManagerError(
    'not-permitted',
    `the invite is for the hardware ${hardwareIdentity}, not for ${shown}`,
    {
      hint: `If this is the host that is meant, invite it by what it shows, on an enrolled host: enclave-manager node invite --hardware ${shown}. Then enrol it with that token: enclave-manager node enrol --token-file -`,
    },
  );
}

function notProved(hardwareIdentity: string): EnclaveManagerError {
  return new EnclaveManagerError('not-permitted', `the host did not prove to be the hardware ${hardwareIdentity}`, {
    hint: `Run this again on that hardware, with ENCLAVE_MANAGER_SEALING=tpm2 or sgx; ${sameToken}. For SGX the managers on the enrolled hosts need ENCLAVE_MANAGER_SGX_COLLATERAL and ENCLAVE_MANAGER_SGX_SIGNERS.`,
  });
}
