import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { FoundServer } from '#postgresql-protocol/find-server.ts';

/** COPY … TO STDOUT came with it. */
const oldest = { major: 23, minor: 1 };

export const isCockroachdb = ({ banner }: Pick<FoundServer, 'banner'>): boolean => banner.startsWith('CockroachDB ');

/** `25.2.1`, from `CockroachDB CCL v25.2.1 (x86_64-pc-linux-gnu, …)`. Throws `version-incompatible` for an older one. */
export function checkVersion({ banner }: Pick<FoundServer, 'banner'>, location: string): string {
  const match = /^CockroachDB \S+ v((\d+)\.(\d+)\.[^\s(]+)/.exec(banner);
  const [major, minor] = [Number(match?.[2] ?? 0), Number(match?.[3] ?? 0)];
  if (match !== null && (major > oldest.major || (major === oldest.major && minor >= oldest.minor))) return match[1]!;
  throw new EnclaveManagerError(
    'version-incompatible',
    `${location} runs ${banner.split(' (')[0]}; this release works with CockroachDB ${oldest.major}.${oldest.minor} and newer`,
    { hint: 'Bring the cluster to a newer version of CockroachDB.' },
  );
}
