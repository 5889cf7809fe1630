-- The audit log: a hash chain that is only ever appended to.

CREATE TABLE audit_events (
  position INT8 PRIMARY KEY CHECK (position >= 1),
  event_id UUID NOT NULL UNIQUE,
  occurred_at TIMESTAMPTZ NOT NULL,
  type TEXT NOT NULL CHECK (type IN ('NODE_STATUS', 'APP_STATUS', 'USER_APPROVAL', 'NODE_ATTESTATION', 'CERTIFICATE',
    'ADMIN', 'APP_HEARTBEAT', 'USER_AUTH', 'BACKUP', 'RESTORE', 'KEY')),
  action TEXT NOT NULL,
  actor TEXT NOT NULL,
  subject TEXT,
  details JSONB NOT NULL,
  previous_hash BYTEA NOT NULL CHECK (octet_length(previous_hash) = 32),
  hash BYTEA NOT NULL CHECK (octet_length(hash) = 32)
);

CREATE INDEX audit_events_by_type ON audit_events (type, position);
CREATE INDEX audit_events_by_actor ON audit_events (actor, position);
