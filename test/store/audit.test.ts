import { describe, expect, it } from 'vitest';
import type { AuditEvent, AuditHead } from '#model/audit-event.ts';
import type { Database } from '#ports/database.ts';
import { emptyHead } from '#store/audit-chain.ts';
import { appendAuditEvent, appendAuditEvents, listAuditEvents, readAuditHead, verifyAuditChain } from '#store/audit.ts';
import { tablesOf } from '#store/tables.ts';
import { migratedDatabase, ports } from './store-database.ts';

const event = (subject: string, more: Partial<AuditEvent> = {}): AuditEvent => ({
  type: 'NODE_STATUS',
  action: 'status changed',
  actor: 'system',
  subject,
  details: { status: 'RUNNING', cpus: [1, 2.5, 1e21, 5e-324], nested: { b: null, a: true } },
  ...more,
});

const append = (database: Database, ...subjects: string[]): Promise<AuditHead> =>
  database.transaction((queries) =>
    appendAuditEvents(
      queries,
      subjects.map((subject) => event(subject)),
      ports,
    ),
  );

async function chainOf(length: number) {
  const opened = await migratedDatabase();
  const subjects = Array.from({ length }, (_, index) => `node-${index + 1}`);
  const head = await append(opened.database, ...subjects);
  return { ...opened, head, events: tablesOf(opened.database) };
}

describe('the audit log', () => {
  it('is intact and empty at first', async () => {
    const { database } = await migratedDatabase();
    expect(await verifyAuditChain(database.queries)).toEqual(emptyHead);
  });

  it('gives the events positions without gaps and verifies over several pages', async () => {
    const { database, head } = await chainOf(2345);
    expect(head.position).toBe(2345);
    expect(await append(database, 'one more')).toMatchObject({ position: 2346 });
    expect(await verifyAuditChain(database.queries, head)).toEqual(await readAuditHead(database.queries));
  });

  it('keeps one chain when several append at the same time', async () => {
    const { database, another } = await migratedDatabase();
    const appenders = [database, another(), another()];
    await Promise.all(appenders.flatMap((each) => [append(each, 'first', 'second'), append(each, 'third')]));
    expect(await verifyAuditChain(database.queries)).toMatchObject({ position: 9 });
  });

  it('records nothing when the transaction it belongs to fails', async () => {
    const { database } = await migratedDatabase();
    const failing = database.transaction(async (queries) => {
      await appendAuditEvent(queries, event('node-1'), ports);
      throw new Error('the deed failed');
    });
    await expect(failing).rejects.toThrow('the deed failed');
    expect(await readAuditHead(database.queries)).toEqual(emptyHead);
  });

  it('takes text that a JSONB column would refuse, and still verifies', async () => {
    const { database } = await migratedDatabase();
    const hostile = event('nul \0', { actor: '\ud800 alone', details: { '\udfff': 'a\0b', empty: '', quote: '"\\' } });
    const head = await database.transaction((queries) => appendAuditEvent(queries, hostile, ports));
    expect(await verifyAuditChain(database.queries)).toEqual(head);
    const [recorded] = await listAuditEvents(database.queries);
    expect(recorded).toMatchObject({
      subject: 'nul \uFFFD',
      details: { '\uFFFD': 'a\uFFFDb', empty: '', quote: '"\\' },
    });
  });

  it('cuts names that are too long', async () => {
    const { database } = await migratedDatabase();
    const long = event('x'.repeat(5000), { actor: `${'y'.repeat(999)}😀` });
    await database.transaction((queries) => appendAuditEvent(queries, long, ports));
    expect(await listAuditEvents(database.queries)).toMatchObject([
      { subject: 'x'.repeat(1000), actor: `${'y'.repeat(999)}\uFFFD` },
    ]);
    expect(await verifyAuditChain(database.queries)).toMatchObject({ position: 1 });
  });

  it('refuses details beyond its limit', async () => {
    const { database } = await migratedDatabase();
    const huge = event('node-1', { details: { text: 'x'.repeat(70_000) } });
    const appending = database.transaction((queries) => appendAuditEvent(queries, huge, ports));
    await expect(appending).rejects.toMatchObject({ code: 'usage' });
  });

  it('lists newest first, by filter and in pages', async () => {
    const { database } = await chainOf(5);
    await database.transaction((queries) =>
      appendAuditEvent(queries, event('cluster', { type: 'BACKUP', actor: 'node host-a' }), ports),
    );
    const positions = async (filter: Parameters<typeof listAuditEvents>[1]) =>
      (await listAuditEvents(database.queries, filter)).map((each) => each.position);
    expect(await positions({ limit: 2 })).toEqual([6, 5]);
    expect(await positions({ limit: 2, before: 5 })).toEqual([4, 3]);
    expect(await positions({ type: 'BACKUP' })).toEqual([6]);
    expect(await positions({ actor: 'node host-a', subject: 'cluster' })).toEqual([6]);
    expect(await positions({ until: new Date(0) })).toEqual([]);
    expect(await positions({ since: new Date(0), subject: 'node-3' })).toEqual([3]);
  });
});

describe('tampering with the audit log', () => {
  it('shows when an event was edited', async () => {
    const { database, events } = await chainOf(5);
    await events.updateTable('audit_events').set({ actor: 'somebody else' }).where('position', '=', 3).execute();
    const message = expect.stringContaining('event 3 was changed');
    await expect(verifyAuditChain(database.queries)).rejects.toMatchObject({ code: 'damaged', message });
  });

  it('shows when an event’s details were edited', async () => {
    const { database, events } = await chainOf(2);
    await events
      .updateTable('audit_events')
      .set({ details: '{"status":"STOPPED"}' })
      .where('position', '=', 2)
      .execute();
    await expect(verifyAuditChain(database.queries)).rejects.toThrow(/event 2 was changed/);
  });

  it('shows when an event was removed', async () => {
    const { database, events } = await chainOf(5);
    await events.deleteFrom('audit_events').where('position', '=', 2).execute();
    await expect(verifyAuditChain(database.queries)).rejects.toThrow(/event 2 is missing/);
  });

  it('shows when two events changed places', async () => {
    const { database, events } = await chainOf(5);
    for (const [from, to] of [
      [2, 99],
      [3, 2],
      [99, 3],
    ] as const) {
      await events.updateTable('audit_events').set({ position: to }).where('position', '=', from).execute();
    }
    await expect(verifyAuditChain(database.queries)).rejects.toThrow(/event 2 does not continue the one before it/);
  });

  it('shows a cut-off end to whoever knows a head from before', async () => {
    const { database, events, head } = await chainOf(5);
    await events.deleteFrom('audit_events').where('position', '>=', 4).execute();
    expect(await verifyAuditChain(database.queries)).toMatchObject({ position: 3 });
    await expect(verifyAuditChain(database.queries, head)).rejects.toThrow(/events 4 to 5 are missing at its end/);
  });

  it('shows a rewritten chain to whoever knows a head from before', async () => {
    const { database, events, head } = await chainOf(5);
    await events.deleteFrom('audit_events').where('position', '>=', 4).execute();
    await append(database, 'another 4', 'another 5', 'another 6');
    expect(await verifyAuditChain(database.queries)).toMatchObject({ position: 6 });
    await expect(verifyAuditChain(database.queries, head)).rejects.toThrow(/event 5 is not the one that was recorded/);
  });
});
