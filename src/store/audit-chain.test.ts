import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { auditEventTypes, type AuditEvent, type AuditHead, type RecordedAuditEvent } from '#model/audit-event.ts';
import { emptyHead, faultIn, headOf, linkEvent } from './audit-chain.ts';

const anyEvent = fc.record({
  type: fc.constantFrom(...auditEventTypes),
  action: fc.string(),
  actor: fc.string(),
  subject: fc.option(fc.string()),
  details: fc.dictionary(fc.string(), fc.oneof(fc.string(), fc.integer(), fc.boolean())),
}) as fc.Arbitrary<AuditEvent>;

const anyChain = fc.array(anyEvent, { minLength: 2, maxLength: 12 }).map(chain);

describe('a hash chain', () => {
  it('has no fault as it was recorded', () => {
    const check = fc.property(anyChain, (events) => {
      expect(firstFault(events)).toBeUndefined();
    });
    fc.assert(check);
  });

  it('hides no edited field', () => {
    const edits = fc.constantFrom<Partial<RecordedAuditEvent>>(
      { actor: 'mallory (edited)' },
      { action: 'nothing happened (edited)' },
      { subject: 'another (edited)' },
      { occurredAt: new Date(0) },
      { eventId: '00000000-0000-7000-8000-000000000000' },
      { details: { edited: 'yes' } },
      { previousHash: Buffer.alloc(32, 7) },
      { hash: Buffer.alloc(32, 7) },
    );
    const check = fc.property(anyChain, fc.nat(), edits, (events, at, edit) => {
      const index = at % events.length;
      expect(firstFault(events.with(index, { ...events[index]!, ...edit }))).toBeDefined();
    });
    fc.assert(check);
  });

  it('hides no event removed before its end', () => {
    const check = fc.property(anyChain, fc.nat(), (events, at) => {
      expect(firstFault(events.toSpliced(at % (events.length - 1), 1))).toBeDefined();
    });
    fc.assert(check);
  });

  it('hides no change of order, even when the positions are swapped along', () => {
    const check = fc.property(anyChain, fc.nat(), (events, at) => {
      const index = at % (events.length - 1);
      const [first, second] = [events[index]!, events[index + 1]!];
      const swapped = events
        .with(index, { ...second, position: first.position })
        .with(index + 1, { ...first, position: second.position });
      expect(firstFault(swapped)).toBeDefined();
    });
    fc.assert(check);
  });

  it('hides no event that was recorded twice', () => {
    const check = fc.property(anyChain, fc.nat(), (events, at) => {
      const index = at % events.length;
      expect(firstFault(events.toSpliced(index, 0, events[index]!))).toBeDefined();
    });
    fc.assert(check);
  });

  it('keeps the hash of a known event', () => {
    const event: AuditEvent = {
      type: 'BACKUP',
      action: 'backup created',
      actor: 'system',
      subject: null,
      details: { rows: 3 },
    };
    const identity = { eventId: '019aa8f0-0000-7000-8000-000000000000', occurredAt: new Date('2026-11-22T00:00:00Z') };
    expect(headOf(linkEvent(emptyHead, event, identity))).toEqual({
      position: 1,
      hash: '1f044473a513fc409788fb66eaaac9de16260abfa7a3cd3f983f74e11ef9057c',
    });
  });
});

function chain(events: AuditEvent[]): RecordedAuditEvent[] {
  const occurredAt = new Date('2026-11-22T00:00:00.123Z');
  const recorded: RecordedAuditEvent[] = [];
  let head: AuditHead = emptyHead;
  for (const event of events) {
    const next = linkEvent(head, event, { eventId: '019aa8f0-0000-7000-8000-000000000000', occurredAt });
    recorded.push(next);
    head = headOf(next);
  }
  return recorded;
}

function firstFault(events: readonly RecordedAuditEvent[]): string | undefined {
  let head: AuditHead = emptyHead;
  for (const event of events) {
    const fault = faultIn(head, event);
    if (fault !== undefined) return fault;
    head = headOf(event);
  }
  return undefined;
}
