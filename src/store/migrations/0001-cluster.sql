-- The cluster, its keyring and enrolment.
-- ephemeral: node_invites, join_requests

-- One row: which cluster this database belongs to, and which life of it.
CREATE TABLE cluster (
  singleton BOOL PRIMARY KEY CHECK (singleton),
  cluster_id UUID NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('creating', 'ready')),
  incarnation_number INT8 NOT NULL CHECK (incarnation_number >= 1),
  incarnation_random TEXT NOT NULL CHECK (length(incarnation_random) = 16),
  created_at TIMESTAMPTZ NOT NULL
);

-- The four tables of keyring documents hold the signed bytes as they lie in the repository. Signatures tie them
-- together, so they have no foreign keys; the other columns repeat what the document's path says.
CREATE TABLE memberships (
  number INT8 PRIMARY KEY CHECK (number >= 1),
  document BYTEA NOT NULL
);

CREATE TABLE credentials (
  credential_id UUID PRIMARY KEY,
  node_id UUID NOT NULL,
  document BYTEA NOT NULL
);

CREATE INDEX credentials_by_node ON credentials (node_id);

CREATE TABLE key_epochs (
  epoch INT8 PRIMARY KEY CHECK (epoch >= 1),
  document BYTEA NOT NULL
);

CREATE TABLE key_slots (
  epoch INT8 NOT NULL CHECK (epoch >= 1),
  node_id UUID NOT NULL,
  credential_id UUID NOT NULL,
  document BYTEA NOT NULL,
  PRIMARY KEY (epoch, node_id, credential_id)
);

-- A cache of the signed membership, and what the manager knows of each node besides.
CREATE TABLE nodes (
  node_id UUID PRIMARY KEY,
  name TEXT NOT NULL,
  site TEXT,
  status TEXT NOT NULL CHECK (status IN ('RUNNING', 'STOPPED', 'FAILED', 'DEACTIVATED', 'INPROGRESS', 'PROVISIONED')),
  credential_id UUID NOT NULL,
  hardware_identity TEXT NOT NULL,
  sealing_provider TEXT NOT NULL,
  grade TEXT NOT NULL,
  membership_number INT8 NOT NULL,
  labels JSONB NOT NULL,
  created_at TIMESTAMPTZ NOT NULL,
  updated_at TIMESTAMPTZ NOT NULL
);

CREATE TABLE node_invites (
  invite_id UUID PRIMARY KEY,
  sealed_mac_key BYTEA NOT NULL,
  created_by TEXT NOT NULL,
  created_at TIMESTAMPTZ NOT NULL,
  expires_at TIMESTAMPTZ NOT NULL,
  used_at TIMESTAMPTZ
);

CREATE TABLE join_requests (
  join_request_id UUID PRIMARY KEY,
  invite_id UUID NOT NULL REFERENCES node_invites (invite_id),
  request BYTEA NOT NULL CHECK (octet_length(request) <= 65536),
  mac BYTEA NOT NULL CHECK (octet_length(mac) <= 64),
  status TEXT NOT NULL CHECK (status IN ('PENDING', 'ADMITTED', 'REFUSED')),
  reason TEXT,
  node_id UUID,
  created_at TIMESTAMPTZ NOT NULL,
  decided_at TIMESTAMPTZ
);

CREATE INDEX join_requests_by_invite ON join_requests (invite_id);
CREATE INDEX join_requests_by_status ON join_requests (status, created_at);
