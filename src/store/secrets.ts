import { serverNow } from './server-time.ts';
import { tablesOf, type Queries } from './tables.ts';

/** Which secrets the database holds, not the secrets. */
export interface Secrets {
  readonly caKeys: readonly { readonly caKeyId: string; readonly zone: string }[];
  /** Names of settings with a secret part. */
  readonly settings: readonly string[];
  /** How many there are beyond those that are named. */
  readonly unnamed: { readonly caKeys: number; readonly settings: number };
  /** Invites that can be used now. */
  readonly invites: number;
}

const maxListed = 1000;

/** Names a thousand of each kind, and counts the rest. */
export async function listSecrets(queries: Queries): Promise<Secrets> {
  const tables = tablesOf(queries);
  const caKeys = await tables
    .selectFrom('ca_keys')
    .select(['ca_key_id', 'zone'])
    .orderBy('ca_key_id')
    .limit(maxListed)
    .execute();
  const settings = await tables
    .selectFrom('settings')
    .select('name')
    .where('sealed_secret', 'is not', null)
    .orderBy('name')
    .limit(maxListed)
    .execute();
  const [sealed] = await tables
    .selectFrom('settings')
    .select(({ fn }) => fn.countAll<number>().as('rows'))
    .where('sealed_secret', 'is not', null)
    .execute();
  const [keys] = await tables
    .selectFrom('ca_keys')
    .select(({ fn }) => fn.countAll<number>().as('rows'))
    .execute();
  const unnamed = {
    caKeys: (keys?.rows ?? 0) - caKeys.length,
    settings: (sealed?.rows ?? 0) - settings.length,
  };
  const invites = await tables
    .selectFrom('node_invites')
    .select('invite_id')
    .where('used_at', 'is', null)
    .where('expires_at', '>', serverNow)
    .execute();
  return {
    caKeys: caKeys.map((row) => ({ caKeyId: row.ca_key_id, zone: row.zone })),
    settings: settings.map(({ name }) => name),
    unnamed,
    invites: invites.length,
  };
}
