-- Users, enclave apps and their builds, tasks, certificates, settings.
-- ephemeral: sessions
--
-- Columns named sealed_… are encrypted under the column key of an epoch.

CREATE TABLE users (
  user_id UUID PRIMARY KEY,
  email TEXT NOT NULL UNIQUE,
  display_name TEXT NOT NULL,
  role TEXT NOT NULL CHECK (role IN ('reader', 'writer', 'manager')),
  status TEXT NOT NULL CHECK (status IN ('invited', 'approved', 'disabled')),
  password_hash TEXT,
  created_at TIMESTAMPTZ NOT NULL,
  approved_at TIMESTAMPTZ,
  approved_by UUID REFERENCES users (user_id)
);

CREATE INDEX users_by_approver ON users (approved_by);

CREATE TABLE api_tokens (
  token_id UUID PRIMARY KEY,
  user_id UUID NOT NULL REFERENCES users (user_id),
  name TEXT NOT NULL,
  token_hash BYTEA NOT NULL UNIQUE CHECK (octet_length(token_hash) = 32),
  created_at TIMESTAMPTZ NOT NULL,
  expires_at TIMESTAMPTZ,
  revoked_at TIMESTAMPTZ
);

CREATE INDEX api_tokens_by_user ON api_tokens (user_id);

CREATE TABLE sessions (
  session_id UUID PRIMARY KEY,
  user_id UUID NOT NULL REFERENCES users (user_id),
  token_hash BYTEA NOT NULL UNIQUE CHECK (octet_length(token_hash) = 32),
  created_at TIMESTAMPTZ NOT NULL,
  expires_at TIMESTAMPTZ NOT NULL
);

CREATE INDEX sessions_by_user ON sessions (user_id);

CREATE TABLE apps (
  app_id UUID PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  description TEXT NOT NULL,
  domains JSONB NOT NULL,
  labels JSONB NOT NULL,
  owner_id UUID NOT NULL REFERENCES users (user_id),
  created_at TIMESTAMPTZ NOT NULL
);

CREATE INDEX apps_by_owner ON apps (owner_id);

CREATE TABLE builds (
  build_id UUID PRIMARY KEY,
  app_id UUID NOT NULL REFERENCES apps (app_id),
  version TEXT NOT NULL,
  image TEXT NOT NULL,
  mrenclave TEXT NOT NULL CHECK (length(mrenclave) = 64),
  mrsigner TEXT NOT NULL CHECK (length(mrsigner) = 64),
  isvprodid INT4 NOT NULL CHECK (isvprodid BETWEEN 0 AND 65535),
  isvsvn INT4 NOT NULL CHECK (isvsvn BETWEEN 0 AND 65535),
  status TEXT NOT NULL CHECK (status IN ('REJECTED', 'WHITELISTED', 'PENDING')),
  created_at TIMESTAMPTZ NOT NULL,
  UNIQUE (app_id, version)
);

CREATE INDEX builds_by_mrenclave ON builds (mrenclave);

CREATE TABLE tasks (
  task_id UUID PRIMARY KEY,
  type TEXT NOT NULL CHECK (type IN ('NODE_ATTESTATION', 'CERTIFICATE_ISSUANCE', 'BUILD_WHITELIST', 'DOMAIN_WHITELIST',
    'RESTORE', 'EVICTION', 'KEY_ROTATION')),
  status TEXT NOT NULL CHECK (status IN ('PENDING', 'APPROVED', 'DENIED')),
  subject TEXT NOT NULL,
  description TEXT NOT NULL,
  details JSONB NOT NULL,
  requester_id UUID REFERENCES users (user_id),
  reviewer_id UUID REFERENCES users (user_id),
  created_at TIMESTAMPTZ NOT NULL,
  decided_at TIMESTAMPTZ
);

CREATE INDEX tasks_by_status ON tasks (status, created_at);
CREATE INDEX tasks_by_requester ON tasks (requester_id);
CREATE INDEX tasks_by_reviewer ON tasks (reviewer_id);

CREATE TABLE ca_keys (
  ca_key_id UUID PRIMARY KEY,
  zone TEXT NOT NULL,
  algorithm TEXT NOT NULL,
  certificate BYTEA NOT NULL,
  sealed_private_key BYTEA NOT NULL,
  created_at TIMESTAMPTZ NOT NULL,
  retired_at TIMESTAMPTZ
);

CREATE TABLE certificates (
  certificate_id UUID PRIMARY KEY,
  ca_key_id UUID NOT NULL REFERENCES ca_keys (ca_key_id),
  app_id UUID NOT NULL REFERENCES apps (app_id),
  build_id UUID REFERENCES builds (build_id),
  node_id UUID,
  subject TEXT NOT NULL,
  serial_number TEXT NOT NULL,
  status TEXT NOT NULL CHECK (status IN ('issued', 'pending', 'revoked')),
  certificate BYTEA,
  not_before TIMESTAMPTZ,
  not_after TIMESTAMPTZ,
  created_at TIMESTAMPTZ NOT NULL,
  UNIQUE (ca_key_id, serial_number)
);

CREATE INDEX certificates_by_app ON certificates (app_id);
CREATE INDEX certificates_by_build ON certificates (build_id);

CREATE TABLE settings (
  name TEXT PRIMARY KEY,
  value JSONB NOT NULL,
  sealed_secret BYTEA,
  updated_at TIMESTAMPTZ NOT NULL
);
