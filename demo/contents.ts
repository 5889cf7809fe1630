import type { Membership } from '#keys/membership.ts';
import type { Clock } from '#ports/clock.ts';
import type { Database } from '#ports/database.ts';
import type { Randomness } from '#ports/randomness.ts';
import { appendAuditEvents } from '#store/audit.ts';
import { saveCaKey } from '#store/ca-keys.ts';
import { setNodeStatus } from '#store/nodes.ts';
import type { ColumnKeys } from '#store/sealed-values.ts';
import { saveSetting } from '#store/settings.ts';
import { tablesOf, type Queries } from '#store/tables.ts';
import { makeApps, type Apps } from './contents/apps.ts';
import { makeCertificates, type Certificates } from './contents/certificates.ts';
import { Chance } from './contents/chance.ts';
import { daysBefore } from './contents/days.ts';
import { makeHistory, type Cast, type DatedAuditEvent } from './contents/history.ts';
import { makeTasks } from './contents/tasks.ts';

/** What sealing and naming of nodes needs of an opened keyring. */
export interface ContentsKeyring extends ColumnKeys {
  readonly membership: Membership;
}

export interface ContentsPorts {
  readonly clock: Clock;
  /** For the nonces of sealed columns; everything else comes from the seed. */
  readonly randomness: Randomness;
}

export interface ContentsOptions {
  readonly auditEvents: number;
  readonly seed?: string;
}

const eventsPerTransaction = 5000;

/** Fills a new cluster with what a year of use leaves behind, the same for the same seed, time and membership. */
export async function fillWithContents(
  database: Database,
  keyring: ContentsKeyring,
  ports: ContentsPorts,
  { auditEvents, seed = 'enclave-manager' }: ContentsOptions,
): Promise<void> {
  const chance = new Chance(seed);
  const now = ports.clock.now();
  const apps = makeApps(chance, now);
  const certificates = makeCertificates(chance, now, apps);
  const tasks = makeTasks(chance, now, apps, keyring.membership);
  await database.transaction(async (queries) => {
    await saveApps(queries, apps);
    await tablesOf(queries).insertInto('tasks').values(tasks).execute();
    for (const caKey of certificates.caKeys) await saveCaKey(queries, keyring, caKey, ports);
    await tablesOf(queries).insertInto('certificates').values(certificates.certificates).execute();
    await saveSettings(queries, keyring, new Chance(`${seed} settings`), ports);
    for (const { nodeId } of keyring.membership.nodes) await setNodeStatus(queries, nodeId, 'RUNNING', ports);
  });
  const history = makeHistory(chance, castOf(apps, certificates, keyring.membership), {
    begin: daysBefore(now, 365),
    end: now,
    count: auditEvents,
  });
  await appendHistory(database, history, { clock: ports.clock, randomness: new Chance(`${seed} event ids`) });
}

/** A working day later: builds approved, a certificate revoked, a few hundred events more. */
export async function changeContents(
  database: Database,
  keyring: ContentsKeyring,
  ports: ContentsPorts,
  { auditEvents, seed = 'enclave-manager' }: ContentsOptions,
): Promise<void> {
  const end = ports.clock.now();
  const cast = await readCast(database.queries, keyring.membership);
  await database.transaction(async (queries) => {
    const tables = tablesOf(queries);
    await tables.updateTable('builds').set({ status: 'WHITELISTED' }).where('status', '=', 'PENDING').execute();
    await tables
      .updateTable('tasks')
      .set({ status: 'APPROVED', decided_at: end })
      .where('status', '=', 'PENDING')
      .execute();
    await tables
      .updateTable('certificates')
      .set({ status: 'revoked' })
      .where('certificate_id', '=', cast.certificates[0]!)
      .execute();
  });
  const chance = new Chance(`${seed} changes`);
  const history = makeHistory(chance, cast, { begin: new Date(end.getTime() - 1000), end, count: auditEvents });
  await appendHistory(database, history, { clock: ports.clock, randomness: chance });
}

async function appendHistory(
  database: Database,
  history: Iterator<DatedAuditEvent>,
  ports: ContentsPorts,
): Promise<void> {
  for (;;) {
    // Wrapped, because `take` ends an iterator that has a `return`.
    const batch = Iterator.from({ next: () => history.next() })
      .take(eventsPerTransaction)
      .toArray();
    if (batch.length === 0) return;
    await database.transaction(async (queries) => await appendAuditEvents(queries, batch, ports));
  }
}

async function saveApps(queries: Queries, { users, tokens, apps, builds }: Apps): Promise<void> {
  const tables = tablesOf(queries);
  await tables.insertInto('users').values(users).execute();
  await tables.insertInto('api_tokens').values(tokens).execute();
  await tables.insertInto('apps').values(apps).execute();
  await tables.insertInto('builds').values(builds).execute();
}

async function saveSettings(
  queries: Queries,
  keyring: ContentsKeyring,
  chance: Chance,
  ports: ContentsPorts,
): Promise<void> {
  const secret = (): Buffer => Buffer.from(chance.hex(20));
  const settings = [
    { name: 'mail', value: { host: 'mail.example.org', port: 465, user: 'enclave-manager' }, secret: secret() },
    {
      name: 'single-sign-on',
      value: { issuer: 'https://login.example.org', clientId: 'enclave-manager' },
      secret: secret(),
    },
    { name: 'audit-forwarding', value: { address: 'syslog.example.org:6514', format: 'rfc5424' }, secret: secret() },
    { name: 'certificate-lifetime-days', value: 30, secret: null },
    { name: 'session-lifetime-minutes', value: 60, secret: null },
  ];
  for (const setting of settings) await saveSetting(queries, keyring, setting, ports);
}

function castOf(apps: Apps, { certificates }: Certificates, membership: Membership): Cast {
  return {
    nodes: membership.nodes.map((node) => node.name),
    apps: apps.apps.map((app) => app.app_id),
    builds: apps.builds.map((build) => build.build_id),
    users: apps.users.map((user) => user.email),
    certificates: certificates.map((certificate) => certificate.certificate_id),
  };
}

async function readCast(queries: Queries, membership: Membership): Promise<Cast> {
  const tables = tablesOf(queries);
  const apps = await tables.selectFrom('apps').select('app_id').orderBy('app_id').execute();
  const builds = await tables.selectFrom('builds').select('build_id').orderBy('build_id').execute();
  const users = await tables.selectFrom('users').select('email').orderBy('email').execute();
  const certificates = await tables
    .selectFrom('certificates')
    .select('certificate_id')
    .orderBy('certificate_id')
    .execute();
  return {
    nodes: membership.nodes.map((node) => node.name),
    apps: apps.map((row) => row.app_id),
    builds: builds.map((row) => row.build_id),
    users: users.map((row) => row.email),
    certificates: certificates.map((row) => row.certificate_id),
  };
}
