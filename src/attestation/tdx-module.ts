import type { TcbInfo } from './collateral.ts';
import { agrees } from './quoting-enclave.ts';
import { rejectEvidence } from './reject.ts';
import { isvVerdict, type TcbVerdict } from './tcb-level.ts';
import type { TrustDomainReport } from './trust-domain-report.ts';

/**
 * Is this Intel's TDX module, and how new? Its major version, the second byte of TEE_TCB_SVN, chooses among the numbered
 * identities `TDX_01`, `TDX_03` …; version 0 has the one identity of before. Throws `evidence-rejected`.
 */
export function moduleVerdict(report: TrustDomainReport, { tdxModule, tdxModuleIdentities }: TcbInfo): TcbVerdict {
  const [isvSvn = 0, major = 0] = report.teeTcbSvn;
  const id = `TDX_${major.toString(16).toUpperCase().padStart(2, '0')}`;
  const numbered = tdxModuleIdentities?.find((candidate) => candidate.id === id);
  const identity = major === 0 ? tdxModule : numbered;
  if (identity === undefined) rejectEvidence(`Intel knows no TDX module ${id}`);
  const isIntels =
    report.mrSignerSeam.toString('hex') === identity.mrsigner.toLowerCase() &&
    agrees(report.seamAttributes, identity.attributes, identity.attributesMask);
  if (!isIntels) rejectEvidence('the TDX module is not the one of Intel');
  if (major === 0 || numbered === undefined) return { status: 'UpToDate', advisoryIds: [] };
  const verdict = isvVerdict(numbered.tcbLevels, isvSvn);
  return verdict ?? rejectEvidence(`the TDX module has version ${isvSvn}, which Intel does not know`);
}
