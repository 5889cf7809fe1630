import { createHash } from 'node:crypto';
import { z } from 'zod';
import { isEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { ColumnPlace } from '#keys/sealed-column.ts';
import { importMarkerTable, type ImportMarker } from '#store/import-marker.ts';
import { openCurrentColumn, type ColumnKeys } from '#store/sealed-values.ts';
import type { Host } from './context.ts';
import type { OpenedImport } from './open-import.ts';

/** What was found about the rows, as the audit log keeps it. */
export interface ImportCheck {
  /** `null`: they were compared; otherwise why not. */
  readonly notCompared: string | null;
  readonly differences: readonly string[];
  /** The fingerprint that a person named; `null` where nobody had to. */
  readonly acceptedFor: string | null;
}

const importCheckSchema = z.object({
  notCompared: z.string().nullable(),
  differences: z.array(z.string()),
  acceptedFor: z.string().nullable(),
});

/** It counts for this database and this manifest only, so that nobody who writes SQL can bring one along. */
export async function importCheckPlace({ server }: Host, { marker }: OpenedImport): Promise<ColumnPlace> {
  const identity = await server.databaseIdentity(server.liveName);
  const digest = createHash('sha256').update(marker.manifest).digest('hex');
  return { table: importMarkerTable, column: 'sealed_check', key: `${identity} ${digest}` };
}

/** What a manager found that then crashed: its migrations may have changed the rows since. */
export function readImportCheck(
  { marker, keyring }: { readonly marker: Pick<ImportMarker, 'sealedCheck'>; readonly keyring: ColumnKeys },
  place: ColumnPlace,
): ImportCheck | undefined {
  if (marker.sealedCheck === null) return undefined;
  try {
    const check = openCurrentColumn(keyring, place, marker.sealedCheck);
    return importCheckSchema.parse(JSON.parse(check.toString('utf8')));
  } catch (error) {
    // Also of an earlier epoch: a host that was evicted could have made it.
    if (isEnclaveManagerError(error) && ['forged', 'damaged', 'no-key'].includes(error.code)) return undefined;
    throw error;
  }
}
