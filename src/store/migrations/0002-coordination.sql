-- Who works on the cluster now, what was run lately, and what was restored.
-- ephemeral: leases, write_locks, servers, maintenance, backup_runs

-- A lease's counter only ever grows; together with the incarnation that it was taken in it is the fencing token.
CREATE TABLE leases (
  name TEXT PRIMARY KEY,
  counter INT8 NOT NULL,
  incarnation_number INT8,
  incarnation_random TEXT,
  holder TEXT,
  acquired_at TIMESTAMPTZ,
  expires_at TIMESTAMPTZ
);

INSERT INTO leases (name, counter) VALUES ('operation', 0);

-- Rows that serialise writers. They are updated, not only locked: a SERIALIZABLE transaction that waited for one
-- then begins again and sees what the one before it wrote.
CREATE TABLE write_locks (
  name TEXT PRIMARY KEY,
  taken INT8 NOT NULL
);

INSERT INTO write_locks (name, taken) VALUES ('audit-log', 0);

CREATE TABLE servers (
  server_id UUID PRIMARY KEY,
  node_id UUID,
  host TEXT NOT NULL,
  process_id INT8 NOT NULL,
  address TEXT,
  product_version TEXT NOT NULL,
  started_at TIMESTAMPTZ NOT NULL,
  heartbeat_at TIMESTAMPTZ NOT NULL,
  expires_at TIMESTAMPTZ NOT NULL,
  acknowledged_maintenance_id UUID
);

-- One row, always there.
CREATE TABLE maintenance (
  singleton BOOL PRIMARY KEY CHECK (singleton),
  maintenance_id UUID,
  reason TEXT,
  begun_by TEXT,
  begun_at TIMESTAMPTZ,
  expires_at TIMESTAMPTZ
);

INSERT INTO maintenance (singleton) VALUES (TRUE);

CREATE TABLE backup_runs (
  run_id UUID PRIMARY KEY,
  kind TEXT NOT NULL CHECK (kind IN ('backup', 'drill', 'verify')),
  cause TEXT NOT NULL CHECK (cause IN ('schedule', 'manual', 'safety')),
  holder TEXT NOT NULL,
  outcome TEXT NOT NULL CHECK (outcome IN ('running', 'succeeded', 'failed', 'interrupted')),
  backup_id TEXT,
  error_code TEXT,
  error_message TEXT,
  details JSONB NOT NULL,
  began_at TIMESTAMPTZ NOT NULL,
  ended_at TIMESTAMPTZ
);

CREATE INDEX backup_runs_by_kind ON backup_runs (kind, began_at);

-- One row for every database that a restore brought to life, written into that database.
CREATE TABLE restores (
  restore_id TEXT PRIMARY KEY,
  backup_id TEXT NOT NULL,
  backup_sequence INT8 NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('prepared', 'swapped', 'complete', 'rolled-back')),
  incarnation_number INT8 NOT NULL,
  incarnation_random TEXT NOT NULL,
  begun_by TEXT NOT NULL,
  begun_at TIMESTAMPTZ NOT NULL,
  ended_at TIMESTAMPTZ,
  safety_backup_id TEXT,
  before_database TEXT,
  replaced_incarnation_number INT8,
  replaced_incarnation_random TEXT,
  replaced_audit_position INT8,
  replaced_audit_hash TEXT,
  cleaned_up_at TIMESTAMPTZ
);
