-- When each host last showed that its hardware opens what it should.
-- ephemeral: node_proofs

-- Of the present only: after a restore every host shows it anew.
CREATE TABLE node_proofs (
  node_id UUID PRIMARY KEY,
  proved_at TIMESTAMPTZ NOT NULL,
  epochs JSONB NOT NULL
);
