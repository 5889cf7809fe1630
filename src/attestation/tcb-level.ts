/** Intel's verdicts on how well a platform is kept, best first. */
export const tcbStatuses = [
  'UpToDate',
  'SWHardeningNeeded',
  'ConfigurationNeeded',
  'ConfigurationAndSWHardeningNeeded',
  'OutOfDate',
  'OutOfDateConfigurationNeeded',
  'Revoked',
] as const;

export type TcbStatus = (typeof tcbStatuses)[number];

export interface TcbVerdict {
  readonly status: TcbStatus;
  /** Intel security advisories that apply, sorted. */
  readonly advisoryIds: readonly string[];
}

interface Level {
  readonly tcbStatus: TcbStatus;
  readonly advisoryIDs: readonly string[];
}

interface PlatformLevel extends Level {
  readonly tcb: {
    readonly sgxtcbcomponents: readonly { readonly svn: number }[];
    readonly tdxtcbcomponents?: readonly { readonly svn: number }[] | undefined;
    readonly pcesvn: number;
  };
}

export interface PlatformSvns {
  readonly componentSvns: readonly number[];
  readonly pceSvn: number;
  /** Of a trust domain; `undefined` for SGX. */
  readonly teeTcbSvn: Buffer | undefined;
}

/** The first level, in Intel's order from new to old, that the platform reaches in every part; `undefined`: none. */
export function platformVerdict(levels: readonly PlatformLevel[], platform: PlatformSvns): TcbVerdict | undefined {
  return verdictOf(levels.find(({ tcb }) => reaches(tcb, platform)));
}

/** The same for an enclave or module that has one version. */
export function isvVerdict(
  levels: readonly (Level & { readonly tcb: { readonly isvsvn: number } })[],
  isvSvn: number,
): TcbVerdict | undefined {
  return verdictOf(levels.find(({ tcb }) => tcb.isvsvn <= isvSvn));
}

function reaches(tcb: PlatformLevel['tcb'], { componentSvns, pceSvn, teeTcbSvn }: PlatformSvns): boolean {
  const sgx = tcb.sgxtcbcomponents.every(({ svn }, index) => (componentSvns[index] ?? -1) >= svn);
  if (!sgx || pceSvn < tcb.pcesvn) return false;
  if (teeTcbSvn === undefined) return true;
  // With a numbered module its first two versions are judged by the module's own levels.
  const from = teeTcbSvn[1] === 0 ? 0 : 2;
  return (
    tcb.tdxtcbcomponents !== undefined &&
    tcb.tdxtcbcomponents.every(({ svn }, index) => index < from || (teeTcbSvn[index] ?? -1) >= svn)
  );
}

/** What platform and part (quoting enclave, TDX module) come to together: the platform is no better than the part. */
export function converge(platform: TcbVerdict, part: TcbVerdict): TcbVerdict {
  const advisoryIds = [...new Set([...platform.advisoryIds, ...part.advisoryIds])].toSorted();
  return { status: convergedStatus(platform.status, part.status), advisoryIds };
}

function convergedStatus(platform: TcbStatus, part: TcbStatus): TcbStatus {
  if (platform === 'Revoked' || part === 'Revoked') return 'Revoked';
  if (part !== 'OutOfDate') return platform;
  if (platform === 'UpToDate' || platform === 'SWHardeningNeeded') return 'OutOfDate';
  if (platform === 'ConfigurationNeeded' || platform === 'ConfigurationAndSWHardeningNeeded') {
    return 'OutOfDateConfigurationNeeded';
  }
  return platform;
}

const verdictOf = (level: Level | undefined): TcbVerdict | undefined =>
  level && { status: level.tcbStatus, advisoryIds: level.advisoryIDs.toSorted() };
