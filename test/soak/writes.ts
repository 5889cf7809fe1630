import { sql } from 'kysely';
import { systemClock } from '#adapters/system/clock.ts';
import { systemRandomness } from '#adapters/system/randomness.ts';
import type { OpenedKeyring } from '#keys/keyring.ts';
import { appendAuditEvents } from '#store/audit.ts';
import { saveCaKey } from '#store/ca-keys.ts';
import { saveSetting } from '#store/settings.ts';
import { tablesOf, type Queries } from '#store/tables.ts';
import type { Chance } from '../../demo/contents/chance.ts';
import { secretMark } from './world.ts';

const ports = { clock: systemClock, randomness: systemRandomness };

export type Write = (queries: Queries, keyring: OpenedKeyring, chance: Chance) => Promise<void>;

/** What people do to a control plane; each is one transaction. */
export const writes: Readonly<Record<string, Write>> = {
  'add a user with apps and builds': addUser,
  'change rows': changeRows,
  'delete rows': deleteRows,
  'save a secret': saveSecret,
  'add a certificate authority': addCaKey,
  'append audit events': appendEvents,
  'add much': addMuch,
};

async function addUser(queries: Queries, _keyring: OpenedKeyring, chance: Chance): Promise<void> {
  const tables = tablesOf(queries);
  const now = new Date();
  const userId = chance.uuid(now);
  const name = chance.hex(6);
  await tables
    .insertInto('users')
    .values({
      user_id: userId,
      email: `${name}@example.org`,
      display_name: `User "${name}"\\ with a\ttab, a\nnew line, \u{1F512} and ''quotes''`,
      role: 'writer',
      status: 'approved',
      password_hash: null,
      created_at: now,
    })
    .execute();
  for (let app = 0; app < chance.integer(1, 3); app += 1) {
    const appId = chance.uuid(now);
    await tables
      .insertInto('apps')
      .values({
        app_id: appId,
        name: `app-${chance.hex(6)}`,
        description: '\\N and \\. are text here',
        domains: JSON.stringify([`${name}.example.org`]),
        labels: JSON.stringify({ depth: { of: [1, null, 'json'] } }),
        owner_id: userId,
        created_at: now,
      })
      .execute();
    const builds = Array.from({ length: chance.integer(1, 40) }, (_, number) => ({
      build_id: chance.uuid(now),
      app_id: appId,
      version: `1.0.${number}`,
      image: `registry.example.org/${name}@sha256:${chance.hex(32)}`,
      mrenclave: chance.hex(32),
      mrsigner: chance.hex(32),
      isvprodid: chance.integer(0, 65_535),
      isvsvn: number,
      status: 'PENDING' as const,
      created_at: now,
    }));
    await tables.insertInto('builds').values(builds).execute();
  }
}

async function changeRows(queries: Queries): Promise<void> {
  await sql`UPDATE builds SET status = CASE status WHEN 'PENDING' THEN 'WHITELISTED' ELSE 'REJECTED' END
    WHERE build_id IN (SELECT build_id FROM builds ORDER BY md5(build_id::text) LIMIT 20)`.execute(queries);
  await sql`UPDATE users SET display_name = display_name || '.' WHERE length(display_name) < 200`.execute(queries);
}

async function deleteRows(queries: Queries): Promise<void> {
  await sql`DELETE FROM builds WHERE build_id IN (SELECT build_id FROM builds ORDER BY build_id LIMIT 15)`.execute(
    queries,
  );
  await sql`DELETE FROM settings WHERE name IN (SELECT name FROM settings ORDER BY md5(name) LIMIT 1)`.execute(queries);
}

async function saveSecret(queries: Queries, keyring: OpenedKeyring, chance: Chance): Promise<void> {
  const name = `secret-${chance.integer(1, 12)}`;
  const secret = Buffer.from(`${secretMark}${chance.hex(20)}`);
  await saveSetting(queries, keyring, { name, value: { length: secret.length }, secret }, ports);
}

async function addCaKey(queries: Queries, keyring: OpenedKeyring, chance: Chance): Promise<void> {
  const now = new Date();
  const key = {
    caKeyId: chance.uuid(now),
    zone: `zone-${chance.hex(3)}`,
    algorithm: 'ECDSA P-256',
    certificate: chance.bytes(600),
    privateKey: Buffer.from(`${secretMark}${chance.hex(40)}`),
    createdAt: now,
  };
  await saveCaKey(queries, keyring, key, ports);
}

async function appendEvents(queries: Queries, _keyring: OpenedKeyring, chance: Chance): Promise<void> {
  const events = Array.from({ length: chance.integer(1, 400) }, (_, index) => ({
    type: 'APP_HEARTBEAT' as const,
    action: 'heartbeat',
    actor: `app-${chance.hex(4)}`,
    subject: `${index}`,
    details: { index, load: 'so and so '.repeat(chance.integer(0, 20)) },
  }));
  await appendAuditEvents(queries, events, ports);
}

/** Rows that do not compress, so that a table has several chunks and a small disk fills. */
async function addMuch(queries: Queries, keyring: OpenedKeyring, chance: Chance): Promise<void> {
  for (let row = 0; row < chance.integer(8, 40); row += 1) {
    const name = `bulk-${chance.integer(1, 100)}`;
    const value = { noise: systemRandomness.bytes(60_000).toString('base64') };
    await saveSetting(queries, keyring, { name, value, secret: null }, ports);
  }
}
