-- What the hardware of a joining host is asked to prove, and its answer. Neither is secret: who answers has the hardware.
ALTER TABLE join_requests ADD COLUMN challenge BYTEA CHECK (octet_length(challenge) <= 8192);

ALTER TABLE join_requests ADD COLUMN answer BYTEA CHECK (octet_length(answer) <= 64);
