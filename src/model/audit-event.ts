import type { JsonObject } from './json.ts';

/** What an audit event is about. The first eight are the field's, the last three ours. */
export const auditEventTypes = [
  'NODE_STATUS',
  'APP_STATUS',
  'USER_APPROVAL',
  'NODE_ATTESTATION',
  'CERTIFICATE',
  'ADMIN',
  'APP_HEARTBEAT',
  'USER_AUTH',
  'BACKUP',
  'RESTORE',
  'KEY',
] as const;

export type AuditEventType = (typeof auditEventTypes)[number];

/** Something that happened, as the code that did it tells the log. */
export interface AuditEvent {
  readonly type: AuditEventType;
  /** A verb and its object, such as `backup created`. */
  readonly action: string;
  /** Who did it: a user's e-mail address, `node <name>`, or `system`. */
  readonly actor: string;
  /** What it was done to: an identifier or a name; `null` where it concerns the whole cluster. */
  readonly subject: string | null;
  readonly details: JsonObject;
}

/** An event with its place in the hash chain. */
export interface RecordedAuditEvent extends AuditEvent {
  /** 1, 2, 3 … without gaps. */
  readonly position: number;
  readonly eventId: string;
  readonly occurredAt: Date;
  /** 32 bytes; of the first event: zeros. */
  readonly previousHash: Buffer;
  readonly hash: Buffer;
}

/** The newest event of a chain: who knows it can tell whether events before it were changed or cut off. */
export interface AuditHead {
  /** 0: no events yet. */
  readonly position: number;
  /** 64 hex digits. */
  readonly hash: string;
}
