import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { AuditEvent, AuditEventType, AuditHead, RecordedAuditEvent } from '#model/audit-event.ts';
import { uuidv7 } from '#model/identifiers.ts';
import type { Clock } from '#ports/clock.ts';
import type { Randomness } from '#ports/randomness.ts';
import { emptyHead, faultIn, headOf, linkEvent } from './audit-chain.ts';
import { tablesOf, type Queries, type Tables } from './tables.ts';

const eventsPerInsert = 500;
const eventsPerPage = 1000;
const maxDetailsCharacters = 65_536;

interface AuditPorts {
  readonly clock: Clock;
  readonly randomness: Randomness;
}

/** Appends one event; call it inside the transaction that does what the event tells. Returns the new head. */
export async function appendAuditEvent(queries: Queries, event: AuditEvent, ports: AuditPorts): Promise<AuditHead> {
  return await appendAuditEvents(queries, [event], ports);
}

/** Appends in the given order. Must run inside `database.transaction`: two appenders may find the same head. */
export async function appendAuditEvents(
  queries: Queries,
  events: readonly (AuditEvent & { readonly occurredAt?: Date })[],
  ports: AuditPorts,
): Promise<AuditHead> {
  await lockAuditLog(queries);
  let head = await readAuditHead(queries);
  for (let begin = 0; begin < events.length; begin += eventsPerInsert) {
    const linked: RecordedAuditEvent[] = [];
    for (const event of events.slice(begin, begin + eventsPerInsert)) {
      const occurredAt = event.occurredAt ?? ports.clock.now();
      const recorded = linkEvent(head, event, { eventId: uuidv7(occurredAt, ports.randomness.bytes(10)), occurredAt });
      linked.push(recorded);
      head = headOf(recorded);
    }
    await tablesOf(queries).insertInto('audit_events').values(linked.map(toRow)).execute();
  }
  return head;
}

/**
 * The newest event. Where somebody planted one at a position after which none can come, the last before the first gap: the
 * chain goes on there, and whoever verifies it meets what was planted.
 */
export async function readAuditHead(queries: Queries): Promise<AuditHead> {
  const newest = await eventsBefore(queries, Number.MAX_SAFE_INTEGER).executeTakeFirst();
  if (newest === undefined) return emptyHead;
  const head = (await hasUnreachable(queries)) ? await lastBeforeGap(queries) : newest;
  return head === undefined ? emptyHead : { position: head.position, hash: head.hash.toString('hex') };
}

const eventsBefore = (queries: Queries, position: number) =>
  tablesOf(queries)
    .selectFrom('audit_events')
    .select(['position', 'hash'])
    .where('position', '<', position)
    .orderBy('position', 'desc')
    .limit(1);

async function hasUnreachable(queries: Queries): Promise<boolean> {
  const row = await tablesOf(queries)
    .selectFrom('audit_events')
    .select('event_id')
    .where('position', '>=', Number.MAX_SAFE_INTEGER)
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}

/** Reads every position: only somebody who writes where he may not makes it run. */
async function lastBeforeGap(queries: Queries) {
  return await tablesOf(queries)
    .selectFrom('audit_events as event')
    .select(['event.position', 'event.hash'])
    .where('event.position', '<', Number.MAX_SAFE_INTEGER)
    .where(({ not, exists, selectFrom }) =>
      not(
        exists(
          selectFrom('audit_events as next')
            .select('next.event_id')
            .where(({ eb, ref }) => eb('next.position', '=', eb(ref('event.position'), '+', 1))),
        ),
      ),
    )
    .orderBy('event.position')
    .limit(1)
    .executeTakeFirst();
}

/**
 * Reads the whole chain, a page at a time, and returns its head. `damaged` at the first event that was changed,
 * removed or put elsewhere. Only somebody who knows a head from earlier, such as a backup's, can tell that the
 * newest events were cut off or the whole chain was written anew: `knownHead` must be part of the chain.
 */
export async function verifyAuditChain(queries: Queries, knownHead: AuditHead = emptyHead): Promise<AuditHead> {
  let head = emptyHead;
  for await (const event of auditEventsFrom(queries)) {
    const fault = faultIn(head, event);
    if (fault !== undefined) throw brokenChain(fault);
    head = headOf(event);
    if (head.position === knownHead.position && head.hash !== knownHead.hash) {
      throw brokenChain(`event ${head.position} is not the one that was recorded earlier`);
    }
  }
  if (head.position < knownHead.position) {
    throw brokenChain(`events ${head.position + 1} to ${knownHead.position} are missing at its end`);
  }
  return head;
}

export interface AuditFilter {
  readonly type?: AuditEventType;
  readonly actor?: string;
  readonly subject?: string;
  readonly since?: Date;
  readonly until?: Date;
  /** For the next page: the lowest position of the page before. */
  readonly before?: number;
  /** 1 to 1000; 100 when absent. */
  readonly limit?: number;
}

/** Newest first. */
export async function listAuditEvents(queries: Queries, filter: AuditFilter = {}): Promise<RecordedAuditEvent[]> {
  let query = tablesOf(queries).selectFrom('audit_events').selectAll();
  if (filter.type !== undefined) query = query.where('type', '=', filter.type);
  if (filter.actor !== undefined) query = query.where('actor', '=', filter.actor);
  if (filter.subject !== undefined) query = query.where('subject', '=', filter.subject);
  if (filter.since !== undefined) query = query.where('occurred_at', '>=', filter.since);
  if (filter.until !== undefined) query = query.where('occurred_at', '<', filter.until);
  if (filter.before !== undefined) query = query.where('position', '<', filter.before);
  // One that was planted beyond them must not keep the others from being shown; `verifyAuditChain` tells of it.
  query = query.where('position', '<=', Number.MAX_SAFE_INTEGER);
  const limit = Math.min(Math.max(filter.limit ?? 100, 1), eventsPerPage);
  const rows = await query.orderBy('position', 'desc').limit(limit).execute();
  return rows.map(fromRow);
}

async function* auditEventsFrom(queries: Queries): AsyncGenerator<RecordedAuditEvent> {
  let position = 0;
  for (;;) {
    const rows = await tablesOf(queries)
      .selectFrom('audit_events')
      .selectAll()
      .where('position', '>', position)
      .orderBy('position')
      .limit(eventsPerPage)
      .execute();
    for (const row of rows) yield fromRow(row);
    const last = rows.at(-1);
    if (last === undefined || rows.length < eventsPerPage) return;
    position = last.position;
  }
}

async function lockAuditLog(queries: Queries): Promise<void> {
  await tablesOf(queries)
    .updateTable('write_locks')
    // Another number than before, whatever somebody wrote there.
    .set((eb) => ({ taken: eb.case().when('taken', '=', 0).then(1).else(0).end() }))
    .where('name', '=', 'audit-log')
    .execute();
}

function toRow(event: RecordedAuditEvent) {
  const details = JSON.stringify(event.details);
  if (details.length > maxDetailsCharacters) {
    throw new EnclaveManagerError(
      'usage',
      `the details of the audit event "${event.action}" have ${details.length} characters, the most is ${maxDetailsCharacters}`,
    );
  }
  return {
    position: event.position,
    event_id: event.eventId,
    occurred_at: event.occurredAt,
    type: event.type,
    action: event.action,
    actor: event.actor,
    subject: event.subject,
    details,
    previous_hash: event.previousHash,
    hash: event.hash,
  };
}

type AuditRow = Omit<Tables['audit_events'], 'details'> & { details: RecordedAuditEvent['details'] };

function fromRow(row: AuditRow): RecordedAuditEvent {
  return {
    position: row.position,
    eventId: row.event_id,
    occurredAt: row.occurred_at,
    type: row.type,
    action: row.action,
    actor: row.actor,
    subject: row.subject,
    details: row.details,
    previousHash: row.previous_hash,
    hash: row.hash,
  };
}

const brokenChain = (what: string): EnclaveManagerError =>
  new EnclaveManagerError('damaged', `the audit log is not as it was recorded: ${what}`, {
    hint: 'Keep this database as evidence, and compare it with a restored backup.',
  });
