import { createHash } from 'node:crypto';
import { z } from 'zod';
import { isEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { openColumn, type ColumnPlace } from '#keys/sealed-column.ts';
import { importMarkerTable } from '#store/import-marker.ts';
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
export function readImportCheck({ marker, keyring }: OpenedImport, place: ColumnPlace): ImportCheck | undefined {
  if (marker.sealedCheck === null) return undefined;
  try {
    return importCheckSchema.parse(JSON.parse(openColumn(keyring, place, marker.sealedCheck).toString('utf8')));
  } catch (error) {
    if (isEnclaveManagerError(error, 'damaged') || isEnclaveManagerError(error, 'no-key')) return undefined;
    throw error;
  }
}
