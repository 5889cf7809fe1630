import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { quoteLiteral } from '#postgresql-protocol/identifier-quoting.ts';
import type { Session } from '#postgresql-protocol/session.ts';

/** Everything the session reads from now on is of one moment; it can write nothing. */
export async function enterMoment(session: Session, token: string): Promise<void> {
  if (!/^\d{1,30}(\.\d{1,20})?$/.test(token)) throw new TypeError('a moment is a decimal number of the cluster');
  await session.rows(`BEGIN AS OF SYSTEM TIME ${quoteLiteral(token)}`);
}

/** What the server says once it has thrown away the rows of that moment. */
export function explainMoment(error: unknown, location: string): unknown {
  if (!(error instanceof Error) || !/must be after replica GC threshold/.test(error.message)) return error;
  return new EnclaveManagerError(
    'database-unreachable',
    `${location}: reading took longer than the server keeps rows that were changed or deleted since`,
    {
      hint: 'Let it keep them longer: ALTER DATABASE malbork CONFIGURE ZONE USING gc.ttlseconds = 90000; then run the command again.',
      cause: error,
    },
  );
}
