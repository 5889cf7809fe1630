import { timedId } from '#model/identifiers.ts';
import { beforePrefix, restoreOfName, stagingPrefix, type RestoreId } from '#model/restore-names.ts';
import type { DatabaseServer } from '#ports/database.ts';
import type { OperationContext } from './context.ts';

const second = 1000;
/** Beyond it a time has no four digits of a year any more. Nobody but a stranger makes such names. */
const lastTime = Date.UTC(9999, 11, 31, 23, 59, 58);

/**
 * An id that sorts after that of every restore whose databases are there, whatever the clock of this host says: which of
 * two databases was to replace the other is told by the order of their ids.
 */
export async function nextRestoreId(
  { clock, randomness }: Pick<OperationContext, 'clock' | 'randomness'>,
  server: DatabaseServer,
): Promise<RestoreId> {
  const { liveName } = server;
  const names = [
    ...(await server.databaseNames(stagingPrefix(liveName))),
    ...(await server.databaseNames(beforePrefix(liveName))),
  ];
  let time = clock.now().getTime();
  for (const name of names) {
    const begun = timeOf(restoreOfName(liveName, name)?.id ?? '');
    if (begun <= lastTime) time = Math.max(time, begun + second);
  }
  return timedId(new Date(time), randomness.bytes(6));
}

/** In Unix milliseconds; not a number where the id holds no time. */
function timeOf(id: RestoreId): number {
  return Date.parse(id.slice(0, 16).replace(/^(\d{4})(\d\d)(\d\dT\d\d)(\d\d)(\d\dZ)$/, '$1-$2-$3:$4:$5'));
}
