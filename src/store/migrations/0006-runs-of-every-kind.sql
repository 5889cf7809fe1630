-- The history of prune too. A new table, because a check without a name cannot be replaced on every engine.
-- ephemeral: operation_runs

-- Which kinds there are, the program says.
CREATE TABLE operation_runs (
  run_id UUID PRIMARY KEY,
  kind TEXT NOT NULL CHECK (length(kind) BETWEEN 1 AND 40),
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

CREATE INDEX operation_runs_by_kind ON operation_runs (kind, began_at);

INSERT INTO operation_runs (run_id, kind, cause, holder, outcome, backup_id, error_code, error_message, details,
    began_at, ended_at)
  SELECT run_id, kind, cause, holder, outcome, backup_id, error_code, error_message, details, began_at, ended_at
    FROM backup_runs;

DROP TABLE backup_runs;
