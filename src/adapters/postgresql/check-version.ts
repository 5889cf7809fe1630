import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { FoundServer } from '#postgresql-protocol/find-server.ts';

const majors = { oldest: 15, newest: 18 };

/** The version without what a distribution adds to it; throws `version-incompatible` for what this release does not know. */
export function checkVersion(
  { banner, version, versionNumber }: Pick<FoundServer, 'banner' | 'version' | 'versionNumber'>,
  location: string,
): string {
  const major = Math.floor(Number(versionNumber) / 10_000);
  if (banner.startsWith('PostgreSQL ') && major >= majors.oldest && major <= majors.newest)
    return version.split(' ')[0]!;
  throw new EnclaveManagerError(
    'version-incompatible',
    `${location} runs ${banner.split(' on ')[0]}; this release works with PostgreSQL ${majors.oldest} to ${majors.newest}`,
    { hint: 'Use a server of one of these versions, or a newer release of Enclave Manager.' },
  );
}
