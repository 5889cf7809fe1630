import { EnclaveManagerError, toEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { OpenedKeyring } from '#keys/keyring.ts';
import type { BackupId } from '#model/identifiers.ts';
import { backUpUnderLease } from './create-backup.ts';
import type { SwapNames } from '#ports/database.ts';
import type { Host, OperationContext } from './context.ts';
import type { Live } from './inspect-live.ts';
import { rowsWithoutCluster } from './live-content.ts';

/**
 * Backs up what a restore is about to replace; `null` where there is nothing, or what never served. Where it is impossible the restore stops,
 * unless it was told to go on without.
 */
export async function takeSafetyBackup(
  context: OperationContext,
  host: Host,
  keyring: OpenedKeyring,
  live: Live,
  what: string,
): Promise<BackupId | null> {
  if (live.content === 'rows') throw rowsWithoutCluster(host.server.liveName);
  if (live.held === undefined || live.content !== 'cluster') return null;
  const { database, lease } = live.held;
  const { server, store, localState } = host;
  context.progress.note(`safety backup of ${what}`);
  try {
    const { id } = await backUpUnderLease(
      context,
      { keyring, server, database, store, localState },
      { kind: 'safety', lease },
    );
    return id;
  } catch (error) {
    if (context.signal.aborted) throw error;
    const { code, message } = toEnclaveManagerError(error);
    throw new EnclaveManagerError(
      code === 'unexpected' ? 'restore-failed' : code,
      `no safety backup of "${database.name}" could be taken: ${message}`,
      {
        cause: error,
        hint: 'Mend the cause, or go on without one: --without-safety-backup. The replaced database is kept until restore cleanup either way.',
      },
    );
  }
}

/** What says that it served nobody needs no safety backup; whether that is so, nobody can know. */
export function noteWithoutBackup(
  { progress }: OperationContext,
  { content }: Live,
  names: Pick<SwapNames, 'live' | 'before'>,
): void {
  if (content !== 'import' && content !== 'creating') return;
  const what = content === 'import' ? 'an import that does not serve yet' : 'a cluster that was only begun';
  progress.note(
    `no safety backup of "${names.live}", which holds ${what}: it is kept as "${names.before}" until restore cleanup`,
  );
}
