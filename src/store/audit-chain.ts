import { createHash } from 'node:crypto';
import type { AuditEvent, AuditHead, RecordedAuditEvent } from '#model/audit-event.ts';
import { canonicalJson, storableJson, storableText } from './canonical-json.ts';

/** What the first event of a chain names as the one before it. */
const genesisHash: Buffer = Buffer.alloc(32);

/** The head of a chain without events. */
export const emptyHead: AuditHead = { position: 0, hash: genesisHash.toString('hex') };

const maxTextCharacters = 1000;
const boundedText = (text: string): string => storableText(text.slice(0, maxTextCharacters));

const context = 'enclave-manager/1/audit-event\n';

/** SHA-256 over a context line and the canonical JSON of everything but the hash itself. */
function auditEventHash(event: Omit<RecordedAuditEvent, 'hash'>): Buffer {
  const { position, eventId, occurredAt, type, action, actor, subject, details, previousHash } = event;
  const text = canonicalJson({
    position,
    eventId,
    occurredAt: occurredAt.toISOString(),
    type,
    action,
    actor,
    subject,
    details,
    previousHash: previousHash.toString('hex'),
  });
  return createHash('sha256').update(context).update(text).digest();
}

/** The event as it is stored after `head`. */
export function linkEvent(
  head: AuditHead,
  event: AuditEvent,
  identity: { readonly eventId: string; readonly occurredAt: Date },
): RecordedAuditEvent {
  const linked = {
    ...identity,
    position: head.position + 1,
    type: event.type,
    action: boundedText(event.action),
    actor: boundedText(event.actor),
    subject: event.subject === null ? null : boundedText(event.subject),
    details: storableJson(event.details),
    previousHash: Buffer.from(head.hash, 'hex'),
  };
  return { ...linked, hash: auditEventHash(linked) };
}

export const headOf = (event: RecordedAuditEvent): AuditHead => ({
  position: event.position,
  hash: event.hash.toString('hex'),
});

/** Why `event` is not the one that was recorded after `head`; `undefined` when it is. */
export function faultIn(head: AuditHead, event: RecordedAuditEvent): string | undefined {
  const expected = head.position + 1;
  if (event.position > expected) return `event ${expected} is missing`;
  if (event.position < expected) return `event ${event.position} is there twice`;
  if (event.previousHash.toString('hex') !== head.hash)
    return `event ${event.position} does not continue the one before it`;
  if (!auditEventHash(event).equals(event.hash)) return `event ${event.position} was changed after it was recorded`;
  return undefined;
}
