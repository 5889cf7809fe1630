import { isBackupId } from './identifiers.ts';

/** A restore's own id, of the form of a backup id: it names the two databases that the restore makes. */
export type RestoreId = string;

const staged = '_restore_';
const replaced = '_before_';

/** Database names are lower case, so that they need no quotes in a database shell. */
const suffix = (id: RestoreId): string => id.toLowerCase().replace('-', '_');

/** The database that a restore builds beside the live one. */
export const stagingName = (liveName: string, id: RestoreId): string => `${liveName}${staged}${suffix(id)}`;
/** What the replaced database is called until `restore cleanup`. */
export const beforeName = (liveName: string, id: RestoreId): string => `${liveName}${replaced}${suffix(id)}`;

export const stagingPrefix = (liveName: string): string => `${liveName}${staged}`;
export const beforePrefix = (liveName: string): string => `${liveName}${replaced}`;

/** The restore that a database beside the live one belongs to; `undefined` for any other name. */
export function restoreOfName(
  liveName: string,
  name: string,
): { readonly id: RestoreId; readonly role: 'staging' | 'before' } | undefined {
  for (const [role, prefix] of [
    ['staging', stagingPrefix(liveName)],
    ['before', beforePrefix(liveName)],
  ] as const) {
    if (!name.startsWith(prefix)) continue;
    const [time = '', random = ''] = name.slice(prefix.length).split('_');
    const id = `${time.toUpperCase()}-${random}`;
    if (isBackupId(id) && name === `${prefix}${suffix(id)}`) return { id, role };
  }
  return undefined;
}
