import { connectPostgresql } from '#adapters/postgresql/postgresql-server.ts';
import { systemRandomness } from '#adapters/system/randomness.ts';
import { openKeyring } from '#keys/keyring.ts';
import type { Database } from '#ports/database.ts';
import type { Sealing } from '#ports/sealing.ts';
import { saveCaKey } from '#store/ca-keys.ts';
import { readKeyringDocuments } from '#store/keyring-documents.ts';
import type { BenchServer } from './server.ts';

/**
 * How much there is of everything at scale 1, which is about 2 GB of COPY text. It is what the manager's own tables hold,
 * because these are what it backs up: a wide one that grows for ever (audit events with JSON and two hashes), a narrow one
 * (API tokens), one of bytes that nothing compresses (certificates), and the small ones of every cluster.
 */
const rowsAtScaleOne = { auditEvents: 5_000_000, tokens: 2_500_000, certificates: 25_000 };
/** Random bytes in each certificate: 100 MB of them at scale 1. */
const certificateBytes = 4000;

const caKeyId = '01950004-0000-7000-8000-000000000001';

/** Rows are computed from their numbers, so that every run has the same. */
const uuid = (kind: number, number: string): string =>
  `('0195${kind.toString(16).padStart(4, '0')}-' || substr(md5('${kind}'), 1, 4) || '-7000-8000-' || lpad(to_hex(${number}), 12, '0'))::uuid`;
const bytes = (kind: string, number: string): string => `sha256(('${kind}' || ${number})::bytea)`;

/** Audit events after the newest, `count` of them, as the manager appends them: ids, positions and times ascend. */
export const appendEvents = (count: number): string => `
  INSERT INTO audit_events (position, event_id, occurred_at, type, action, actor, subject, details, previous_hash, hash)
  SELECT n, (lpad(to_hex(1735689600000 + n * 37), 12, '0') || '7' || substr(md5('event' || n), 1, 3) || '8' ||
           substr(md5('event' || n), 4, 15))::uuid,
         TIMESTAMPTZ '2025-01-01 00:00:00Z' + n * INTERVAL '37 milliseconds',
         (ARRAY['NODE_STATUS', 'APP_STATUS', 'USER_AUTH', 'APP_HEARTBEAT', 'CERTIFICATE'])[1 + n % 5],
         (ARRAY['started', 'stopped', 'signed-in', 'seen', 'issued'])[1 + n % 5],
         'user-' || (n * 7919) % 200 || '@example.org',
         'app-' || (n * 104729) % 500,
         jsonb_build_object('node', 'node-' || n % 40, 'address', '10.' || n % 250 || '.' || n % 13 || '.' || n % 199,
           'durationMs', (n * 31) % 9973, 'outcome', CASE WHEN n % 17 = 0 THEN 'refused' ELSE 'ok' END),
         ${bytes('event', '(n - 1)')}, ${bytes('event', 'n')}
    FROM (SELECT b.last + g AS n FROM (SELECT COALESCE(max(position), 0) AS last FROM audit_events) b,
          generate_series(1, ${count}) g) numbers`;

const people = (count: number): string => `
  INSERT INTO users SELECT ${uuid(1, 'n')}, 'user-' || n || '@example.org', 'User ' || n, 'reader', 'approved', NULL,
         TIMESTAMPTZ '2025-01-01 00:00:00Z' + n * INTERVAL '1 hour', NULL, NULL FROM generate_series(1, ${count}) n`;

const apps = (count: number): string => `
  INSERT INTO apps SELECT ${uuid(2, 'n')}, 'app-' || n, 'Application number ' || n, '["app.example.org"]', '{"tier":"a"}',
         ${uuid(1, '1 + n % 200')}, TIMESTAMPTZ '2025-01-01 00:00:00Z' + n * INTERVAL '1 hour' FROM generate_series(1, ${count}) n;
  INSERT INTO builds SELECT ${uuid(3, 'n')}, ${uuid(2, '1 + n % 500')}, '1.0.' || n, 'registry.example/app:' || n,
         encode(${bytes('enclave', 'n')}, 'hex'), encode(${bytes('signer', 'n % 9')}, 'hex'), 1, 1, 'WHITELISTED',
         TIMESTAMPTZ '2025-01-01 00:00:00Z' + n * INTERVAL '1 hour' FROM generate_series(1, ${count * 4}) n`;

const tokens = (count: number): string => `
  INSERT INTO api_tokens SELECT ${uuid(5, 'n')}, ${uuid(1, '1 + n % 200')}, 'token', ${bytes('token', 'n')},
         TIMESTAMPTZ '2025-01-01 00:00:00Z' + n * INTERVAL '1 minute', NULL, NULL FROM generate_series(1, ${count}) n`;

const certificates = (count: number): string => `
  INSERT INTO certificates SELECT ${uuid(6, 'n')}, '${caKeyId}', ${uuid(2, '1 + n % 500')}, NULL, NULL,
         'CN=app-' || n % 500, 'serial-' || n, 'issued',
         (SELECT string_agg(${bytes('certificate', `(n * ${Math.ceil(certificateBytes / 32)} + k)`)}, '')
            FROM generate_series(1, ${Math.ceil(certificateBytes / 32)}) k),
         TIMESTAMPTZ '2025-01-01 00:00:00Z', TIMESTAMPTZ '2026-01-01 00:00:00Z', TIMESTAMPTZ '2025-01-01 00:00:00Z'
    FROM generate_series(1, ${count}) n`;

/** Fills the database of a cluster that has just been made. Indexes are built afterwards, by the code that restores them. */
export async function fill(server: BenchServer, sealing: Sealing, database: string, scale: number): Promise<void> {
  const rows = (atScaleOne: number): number => Math.ceil(atScaleOne * scale);
  const connection = await connectPostgresql({ server: server.urlOf(database) });
  const opened = connection.open(database, { connections: 2 });
  try {
    await addCaKey(opened, sealing);
    const indexes = await opened.detachIndexes();
    await server.query(database, `${people(200)}; ${apps(500)}`);
    await Promise.all([
      server.query(database, appendEvents(rows(rowsAtScaleOne.auditEvents))),
      server
        .query(database, certificates(rows(rowsAtScaleOne.certificates)))
        .then(() => server.query(database, tokens(rows(rowsAtScaleOne.tokens)))),
    ]);
    await indexes.attach();
    await server.query(database, 'VACUUM (ANALYZE)');
    await server.query(database, 'CHECKPOINT');
  } finally {
    await opened.close();
    await connection.close();
  }
}

/** The key that all certificates name. It is sealed as any other, because a restore looks into it. */
async function addCaKey({ queries }: Database, sealing: Sealing): Promise<void> {
  const keyring = await openKeyring(await readKeyringDocuments(queries), sealing);
  const [certificate, privateKey] = [Buffer.alloc(600, 1), Buffer.alloc(48, 2)];
  const caKey = { caKeyId, zone: 'example', algorithm: 'ed25519', certificate, privateKey, createdAt: new Date(0) };
  await saveCaKey(queries, keyring, caKey, { randomness: systemRandomness });
}
