-- Every statement that is sent to CockroachDB, as a test records them: names of databases, values and repetitions are left
-- out. WRITE_COCKROACHDB_STATEMENTS=1 npx vitest run test/restore/cockroachdb.test.ts writes this file anew.

update "leases" set "expires_at" = clock_timestamp() + $1::INT8 * INTERVAL '…' where "name" = $2 and "counter" = $3 and "incarnation_number" = $4 and "incarnation_random" = $5 and "holder" is not null returning "expires_at";

update "maintenance" set "expires_at" = clock_timestamp() + $1::INT8 * INTERVAL '…' where "maintenance_id" = $2 and "expires_at" > clock_timestamp() returning "expires_at";

update "servers" set "heartbeat_at" = clock_timestamp(), "expires_at" = clock_timestamp() + $1::INT8 * INTERVAL '…' where "server_id" = $2 and "expires_at" > clock_timestamp();
