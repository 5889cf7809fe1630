-- Where the present life of this database began, sealed: rows that are copied to another database do not bring it along.
-- ephemeral: life_seals

CREATE TABLE life_seals (
  singleton BOOL PRIMARY KEY CHECK (singleton),
  seal BYTEA NOT NULL CHECK (octet_length(seal) <= 256)
);
