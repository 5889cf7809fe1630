-- Every statement that is sent to CockroachDB, as a test records them: names of databases, values and repetitions are left
-- out. WRITE_COCKROACHDB_STATEMENTS=1 npx vitest run test/restore/cockroachdb.test.ts writes this file anew.

ALTER DATABASE "…" OWNER TO "…";

ALTER DATABASE "…" RENAME TO "…";

ALTER TABLE join_requests ADD COLUMN answer BYTEA CHECK (octet_length(answer) <= 64);

ALTER TABLE join_requests ADD COLUMN challenge BYTEA CHECK (octet_length(challenge) <= 8192);

ALTER TABLE public."api_tokens" ADD CONSTRAINT "api_tokens_user_id_fkey" FOREIGN KEY (user_id) REFERENCES users(user_id);

ALTER TABLE public."api_tokens" DROP CONSTRAINT "api_tokens_user_id_fkey";

ALTER TABLE public."apps" ADD CONSTRAINT "apps_owner_id_fkey" FOREIGN KEY (owner_id) REFERENCES users(user_id);

ALTER TABLE public."apps" DROP CONSTRAINT "apps_owner_id_fkey";

ALTER TABLE public."builds" ADD CONSTRAINT "builds_app_id_fkey" FOREIGN KEY (app_id) REFERENCES apps(app_id);

ALTER TABLE public."builds" DROP CONSTRAINT "builds_app_id_fkey";

ALTER TABLE public."certificates" ADD CONSTRAINT "certificates_app_id_fkey" FOREIGN KEY (app_id) REFERENCES apps(app_id);

ALTER TABLE public."certificates" ADD CONSTRAINT "certificates_build_id_fkey" FOREIGN KEY (build_id) REFERENCES builds(build_id);

ALTER TABLE public."certificates" ADD CONSTRAINT "certificates_ca_key_id_fkey" FOREIGN KEY (ca_key_id) REFERENCES ca_keys(ca_key_id);

ALTER TABLE public."certificates" DROP CONSTRAINT "certificates_app_id_fkey";

ALTER TABLE public."certificates" DROP CONSTRAINT "certificates_build_id_fkey";

ALTER TABLE public."certificates" DROP CONSTRAINT "certificates_ca_key_id_fkey";

ALTER TABLE public."join_requests" ADD CONSTRAINT "join_requests_invite_id_fkey" FOREIGN KEY (invite_id) REFERENCES node_invites(invite_id);

ALTER TABLE public."join_requests" DROP CONSTRAINT "join_requests_invite_id_fkey";

ALTER TABLE public."sessions" ADD CONSTRAINT "sessions_user_id_fkey" FOREIGN KEY (user_id) REFERENCES users(user_id);

ALTER TABLE public."sessions" DROP CONSTRAINT "sessions_user_id_fkey";

ALTER TABLE public."tasks" ADD CONSTRAINT "tasks_requester_id_fkey" FOREIGN KEY (requester_id) REFERENCES users(user_id);

ALTER TABLE public."tasks" ADD CONSTRAINT "tasks_reviewer_id_fkey" FOREIGN KEY (reviewer_id) REFERENCES users(user_id);

ALTER TABLE public."tasks" DROP CONSTRAINT "tasks_requester_id_fkey";

ALTER TABLE public."tasks" DROP CONSTRAINT "tasks_reviewer_id_fkey";

ALTER TABLE public."users" ADD CONSTRAINT "users_approved_by_fkey" FOREIGN KEY (approved_by) REFERENCES users(user_id);

ALTER TABLE public."users" DROP CONSTRAINT "users_approved_by_fkey";

BEGIN;

BEGIN AS OF SYSTEM TIME '…';

CANCEL SESSIONS IF EXISTS (WITH x AS (SHOW CLUSTER SESSIONS) SELECT session_id FROM x WHERE strpos(application_name, '…') = 1);

COMMIT;

COPY (SELECT "app_id", "name", "description", "domains", "labels", "owner_id", "created_at" FROM public."apps" ORDER BY "app_id") TO STDOUT WITH CSV;

COPY (SELECT "build_id", "app_id", "version", "image", "mrenclave", "mrsigner", "isvprodid", "isvsvn", "status", "created_at" FROM public."builds" ORDER BY "build_id") TO STDOUT WITH CSV;

COPY (SELECT "ca_key_id", "zone", "algorithm", "certificate", "sealed_private_key", "created_at", "retired_at" FROM public."ca_keys" ORDER BY "ca_key_id") TO STDOUT WITH CSV;

COPY (SELECT "certificate_id", "ca_key_id", "app_id", "build_id", "node_id", "subject", "serial_number", "status", "certificate", "not_before", "not_after", "created_at" FROM public."certificates" ORDER BY "certificate_id") TO STDOUT WITH CSV;

COPY (SELECT "credential_id", "node_id", "document" FROM public."credentials" ORDER BY "credential_id") TO STDOUT WITH CSV;

COPY (SELECT "epoch", "document" FROM public."key_epochs" ORDER BY "epoch") TO STDOUT WITH CSV;

COPY (SELECT "epoch", "node_id", "credential_id", "document" FROM public."key_slots" ORDER BY "epoch", "node_id", "credential_id") TO STDOUT WITH CSV;

COPY (SELECT "name", "value", "sealed_secret", "updated_at" FROM public."settings" ORDER BY "name") TO STDOUT WITH CSV;

COPY (SELECT "node_id", "name", "site", "status", "credential_id", "hardware_identity", "sealing_provider", "grade", "membership_number", "labels", "created_at", "updated_at" FROM public."nodes" ORDER BY "node_id") TO STDOUT WITH CSV;

COPY (SELECT "number", "document" FROM public."memberships" ORDER BY "number") TO STDOUT WITH CSV;

COPY (SELECT "position", "event_id", "occurred_at", "type", "action", "actor", "subject", "details", "previous_hash", "hash" FROM public."audit_events" ORDER BY "position") TO STDOUT WITH CSV;

COPY (SELECT "restore_id", "backup_id", "backup_sequence", "state", "incarnation_number", "incarnation_random", "begun_by", "begun_at", "ended_at", "safety_backup_id", "before_database", "replaced_incarnation_number", "replaced_incarnation_random", "replaced_audit_position", "replaced_audit_hash", "cleaned_up_at" FROM public."restores" ORDER BY "restore_id") TO STDOUT WITH CSV;

COPY (SELECT "singleton", "cluster_id", "state", "incarnation_number", "incarnation_random", "created_at" FROM public."cluster" ORDER BY "singleton") TO STDOUT WITH CSV;

COPY (SELECT "task_id", "type", "status", "subject", "description", "details", "requester_id", "reviewer_id", "created_at", "decided_at" FROM public."tasks" ORDER BY "task_id") TO STDOUT WITH CSV;

COPY (SELECT "token_id", "user_id", "name", "token_hash", "created_at", "expires_at", "revoked_at" FROM public."api_tokens" ORDER BY "token_id") TO STDOUT WITH CSV;

COPY (SELECT "user_id", "email", "display_name", "role", "status", "password_hash", "created_at", "approved_at", "approved_by" FROM public."users" ORDER BY "user_id") TO STDOUT WITH CSV;

COPY public."audit_events" ("position", "event_id", "occurred_at", "type", "action", "actor", "subject", "details", "previous_hash", "hash") FROM STDIN WITH CSV;

COPY public."cluster" ("singleton", "cluster_id", "state", "incarnation_number", "incarnation_random", "created_at") FROM STDIN WITH CSV;

COPY public."credentials" ("credential_id", "node_id", "document") FROM STDIN WITH CSV;

COPY public."key_epochs" ("epoch", "document") FROM STDIN WITH CSV;

COPY public."key_slots" ("epoch", "node_id", "credential_id", "document") FROM STDIN WITH CSV;

COPY public."memberships" ("number", "document") FROM STDIN WITH CSV;

COPY public."nodes" ("node_id", "name", "site", "status", "credential_id", "hardware_identity", "sealing_provider", "grade", "membership_number", "labels", "created_at", "updated_at") FROM STDIN WITH CSV;

COPY public."restores" ("restore_id", "backup_id", "backup_sequence", "state", "incarnation_number", "incarnation_random", "begun_by", "begun_at", "ended_at", "safety_backup_id", "before_database", "replaced_incarnation_number", "replaced_incarnation_random", "replaced_audit_position", "replaced_audit_hash", "cleaned_up_at") FROM STDIN WITH CSV;

COPY public."settings" ("name", "value", "sealed_secret", "updated_at") FROM STDIN WITH CSV;

COPY public."users" ("user_id", "email", "display_name", "role", "status", "password_hash", "created_at", "approved_at", "approved_by") FROM STDIN WITH CSV;

CREATE DATABASE "…";

CREATE INDEX api_tokens_by_user ON api_tokens (user_id);

CREATE INDEX apps_by_owner ON apps (owner_id);

CREATE INDEX audit_events_by_actor ON audit_events (actor, position);

CREATE INDEX audit_events_by_type ON audit_events (type, position);

CREATE INDEX backup_runs_by_kind ON backup_runs (kind, began_at);

CREATE INDEX builds_by_mrenclave ON builds (mrenclave);

CREATE INDEX certificates_by_app ON certificates (app_id);

CREATE INDEX certificates_by_build ON certificates (build_id);

CREATE INDEX credentials_by_node ON credentials (node_id);

CREATE INDEX join_requests_by_invite ON join_requests (invite_id);

CREATE INDEX join_requests_by_status ON join_requests (status, created_at);

CREATE INDEX operation_runs_by_kind ON operation_runs (kind, began_at);

CREATE INDEX sessions_by_user ON sessions (user_id);

CREATE INDEX tasks_by_requester ON tasks (requester_id);

CREATE INDEX tasks_by_reviewer ON tasks (reviewer_id);

CREATE INDEX tasks_by_status ON tasks (status, created_at);

CREATE INDEX users_by_approver ON users (approved_by);

CREATE TABLE IF NOT EXISTS schema_migrations ( version INT8 PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, applied_at TIMESTAMPTZ NOT NULL ); INSERT INTO schema_migrations (version, name, checksum, applied_at) VALUES (0, '…', '…', now()) ON CONFLICT (version) DO NOTHING;

CREATE TABLE api_tokens ( token_id UUID PRIMARY KEY, user_id UUID NOT NULL REFERENCES users (user_id), name TEXT NOT NULL, token_hash BYTEA NOT NULL UNIQUE CHECK (octet_length(token_hash) = 32), created_at TIMESTAMPTZ NOT NULL, expires_at TIMESTAMPTZ, revoked_at TIMESTAMPTZ );

CREATE TABLE apps ( app_id UUID PRIMARY KEY, name TEXT NOT NULL UNIQUE, description TEXT NOT NULL, domains JSONB NOT NULL, labels JSONB NOT NULL, owner_id UUID NOT NULL REFERENCES users (user_id), created_at TIMESTAMPTZ NOT NULL );

CREATE TABLE audit_events ( position INT8 PRIMARY KEY CHECK (position >= 1), event_id UUID NOT NULL UNIQUE, occurred_at TIMESTAMPTZ NOT NULL, type TEXT NOT NULL CHECK (type IN ('…', '…', '…', '…', '…', '…', '…', '…', '…', '…', '…')), action TEXT NOT NULL, actor TEXT NOT NULL, subject TEXT, details JSONB NOT NULL, previous_hash BYTEA NOT NULL CHECK (octet_length(previous_hash) = 32), hash BYTEA NOT NULL CHECK (octet_length(hash) = 32) );

CREATE TABLE backup_runs ( run_id UUID PRIMARY KEY, kind TEXT NOT NULL CHECK (kind IN ('…', '…', '…')), cause TEXT NOT NULL CHECK (cause IN ('…', '…', '…')), holder TEXT NOT NULL, outcome TEXT NOT NULL CHECK (outcome IN ('…', '…', '…', '…')), backup_id TEXT, error_code TEXT, error_message TEXT, details JSONB NOT NULL, began_at TIMESTAMPTZ NOT NULL, ended_at TIMESTAMPTZ );

CREATE TABLE builds ( build_id UUID PRIMARY KEY, app_id UUID NOT NULL REFERENCES apps (app_id), version TEXT NOT NULL, image TEXT NOT NULL, mrenclave TEXT NOT NULL CHECK (length(mrenclave) = 64), mrsigner TEXT NOT NULL CHECK (length(mrsigner) = 64), isvprodid INT4 NOT NULL CHECK (isvprodid BETWEEN 0 AND 65535), isvsvn INT4 NOT NULL CHECK (isvsvn BETWEEN 0 AND 65535), status TEXT NOT NULL CHECK (status IN ('…', '…', '…')), created_at TIMESTAMPTZ NOT NULL, UNIQUE (app_id, version) );

CREATE TABLE ca_keys ( ca_key_id UUID PRIMARY KEY, zone TEXT NOT NULL, algorithm TEXT NOT NULL, certificate BYTEA NOT NULL, sealed_private_key BYTEA NOT NULL, created_at TIMESTAMPTZ NOT NULL, retired_at TIMESTAMPTZ );

CREATE TABLE certificates ( certificate_id UUID PRIMARY KEY, ca_key_id UUID NOT NULL REFERENCES ca_keys (ca_key_id), app_id UUID NOT NULL REFERENCES apps (app_id), build_id UUID REFERENCES builds (build_id), node_id UUID, subject TEXT NOT NULL, serial_number TEXT NOT NULL, status TEXT NOT NULL CHECK (status IN ('…', '…', '…')), certificate BYTEA, not_before TIMESTAMPTZ, not_after TIMESTAMPTZ, created_at TIMESTAMPTZ NOT NULL, UNIQUE (ca_key_id, serial_number) );

CREATE TABLE cluster ( singleton BOOL PRIMARY KEY CHECK (singleton), cluster_id UUID NOT NULL, state TEXT NOT NULL CHECK (state IN ('…', '…')), incarnation_number INT8 NOT NULL CHECK (incarnation_number >= 1), incarnation_random TEXT NOT NULL CHECK (length(incarnation_random) = 16), created_at TIMESTAMPTZ NOT NULL );

CREATE TABLE credentials ( credential_id UUID PRIMARY KEY, node_id UUID NOT NULL, document BYTEA NOT NULL );

CREATE TABLE join_requests ( join_request_id UUID PRIMARY KEY, invite_id UUID NOT NULL REFERENCES node_invites (invite_id), request BYTEA NOT NULL CHECK (octet_length(request) <= 65536), mac BYTEA NOT NULL CHECK (octet_length(mac) <= 64), status TEXT NOT NULL CHECK (status IN ('…', '…', '…')), reason TEXT, node_id UUID, created_at TIMESTAMPTZ NOT NULL, decided_at TIMESTAMPTZ );

CREATE TABLE key_epochs ( epoch INT8 PRIMARY KEY CHECK (epoch >= 1), document BYTEA NOT NULL );

CREATE TABLE key_slots ( epoch INT8 NOT NULL CHECK (epoch >= 1), node_id UUID NOT NULL, credential_id UUID NOT NULL, document BYTEA NOT NULL, PRIMARY KEY (epoch, node_id, credential_id) );

CREATE TABLE leases ( name TEXT PRIMARY KEY, counter INT8 NOT NULL, incarnation_number INT8, incarnation_random TEXT, holder TEXT, acquired_at TIMESTAMPTZ, expires_at TIMESTAMPTZ );

CREATE TABLE life_seals ( singleton BOOL PRIMARY KEY CHECK (singleton), seal BYTEA NOT NULL CHECK (octet_length(seal) <= 256) );

CREATE TABLE maintenance ( singleton BOOL PRIMARY KEY CHECK (singleton), maintenance_id UUID, reason TEXT, begun_by TEXT, begun_at TIMESTAMPTZ, expires_at TIMESTAMPTZ );

CREATE TABLE memberships ( number INT8 PRIMARY KEY CHECK (number >= 1), document BYTEA NOT NULL );

CREATE TABLE node_invites ( invite_id UUID PRIMARY KEY, sealed_mac_key BYTEA NOT NULL, created_by TEXT NOT NULL, created_at TIMESTAMPTZ NOT NULL, expires_at TIMESTAMPTZ NOT NULL, used_at TIMESTAMPTZ );

CREATE TABLE node_proofs ( node_id UUID PRIMARY KEY, proved_at TIMESTAMPTZ NOT NULL, epochs JSONB NOT NULL );

CREATE TABLE nodes ( node_id UUID PRIMARY KEY, name TEXT NOT NULL, site TEXT, status TEXT NOT NULL CHECK (status IN ('…', '…', '…', '…', '…', '…')), credential_id UUID NOT NULL, hardware_identity TEXT NOT NULL, sealing_provider TEXT NOT NULL, grade TEXT NOT NULL, membership_number INT8 NOT NULL, labels JSONB NOT NULL, created_at TIMESTAMPTZ NOT NULL, updated_at TIMESTAMPTZ NOT NULL );

CREATE TABLE operation_runs ( run_id UUID PRIMARY KEY, kind TEXT NOT NULL CHECK (length(kind) BETWEEN 1 AND 40), cause TEXT NOT NULL CHECK (cause IN ('…', '…', '…')), holder TEXT NOT NULL, outcome TEXT NOT NULL CHECK (outcome IN ('…', '…', '…', '…')), backup_id TEXT, error_code TEXT, error_message TEXT, details JSONB NOT NULL, began_at TIMESTAMPTZ NOT NULL, ended_at TIMESTAMPTZ );

CREATE TABLE restores ( restore_id TEXT PRIMARY KEY, backup_id TEXT NOT NULL, backup_sequence INT8 NOT NULL, state TEXT NOT NULL CHECK (state IN ('…', '…', '…', '…')), incarnation_number INT8 NOT NULL, incarnation_random TEXT NOT NULL, begun_by TEXT NOT NULL, begun_at TIMESTAMPTZ NOT NULL, ended_at TIMESTAMPTZ, safety_backup_id TEXT, before_database TEXT, replaced_incarnation_number INT8, replaced_incarnation_random TEXT, replaced_audit_position INT8, replaced_audit_hash TEXT, cleaned_up_at TIMESTAMPTZ );

CREATE TABLE servers ( server_id UUID PRIMARY KEY, node_id UUID, host TEXT NOT NULL, process_id INT8 NOT NULL, address TEXT, product_version TEXT NOT NULL, started_at TIMESTAMPTZ NOT NULL, heartbeat_at TIMESTAMPTZ NOT NULL, expires_at TIMESTAMPTZ NOT NULL, acknowledged_maintenance_id UUID );

CREATE TABLE sessions ( session_id UUID PRIMARY KEY, user_id UUID NOT NULL REFERENCES users (user_id), token_hash BYTEA NOT NULL UNIQUE CHECK (octet_length(token_hash) = 32), created_at TIMESTAMPTZ NOT NULL, expires_at TIMESTAMPTZ NOT NULL );

CREATE TABLE settings ( name TEXT PRIMARY KEY, value JSONB NOT NULL, sealed_secret BYTEA, updated_at TIMESTAMPTZ NOT NULL );

CREATE TABLE tasks ( task_id UUID PRIMARY KEY, type TEXT NOT NULL CHECK (type IN ('…', '…', '…', '…', '…', '…', '…')), status TEXT NOT NULL CHECK (status IN ('…', '…', '…')), subject TEXT NOT NULL, description TEXT NOT NULL, details JSONB NOT NULL, requester_id UUID REFERENCES users (user_id), reviewer_id UUID REFERENCES users (user_id), created_at TIMESTAMPTZ NOT NULL, decided_at TIMESTAMPTZ );

CREATE TABLE users ( user_id UUID PRIMARY KEY, email TEXT NOT NULL UNIQUE, display_name TEXT NOT NULL, role TEXT NOT NULL CHECK (role IN ('…', '…', '…')), status TEXT NOT NULL CHECK (status IN ('…', '…', '…')), password_hash TEXT, created_at TIMESTAMPTZ NOT NULL, approved_at TIMESTAMPTZ, approved_by UUID REFERENCES users (user_id) );

CREATE TABLE write_locks ( name TEXT PRIMARY KEY, taken INT8 NOT NULL );

DROP DATABASE IF EXISTS "…" CASCADE;

DROP TABLE backup_runs;

INSERT INTO leases (name, counter) VALUES ('…', 0);

INSERT INTO maintenance (singleton) VALUES (TRUE);

INSERT INTO operation_runs (run_id, kind, cause, holder, outcome, backup_id, error_code, error_message, details, began_at, ended_at) SELECT run_id, kind, cause, holder, outcome, backup_id, error_code, error_message, details, began_at, ended_at FROM backup_runs;

INSERT INTO write_locks (name, taken) VALUES ('…', 0);

SELECT "ca_key_id" AS key, "sealed_private_key" AS sealed FROM "ca_keys" WHERE "sealed_private_key" IS NOT NULL AND TRUE ORDER BY "ca_key_id" LIMIT 200;

SELECT "invite_id" AS key, "sealed_mac_key" AS sealed FROM "node_invites" WHERE "sealed_mac_key" IS NOT NULL AND TRUE ORDER BY "invite_id" LIMIT 200;

SELECT "name" AS key, "sealed_secret" AS sealed FROM "settings" WHERE "sealed_secret" IS NOT NULL AND TRUE ORDER BY "name" LIMIT 200;

SELECT '…' AS object, grantee, privilege_type AS privilege FROM [SHOW GRANTS ON DATABASE "…"];

SELECT COALESCE(sum(range_size), 0)::int8 AS bytes FROM [SHOW RANGES FROM DATABASE "…" WITH DETAILS];

SELECT NULL AS "table", concat_ws('…', '…', routine_name, routine_type, routine_definition) AS text FROM information_schema.routines WHERE routine_schema = '…';

SELECT NULL AS "table", concat_ws('…', '…', sequence_name) AS text FROM information_schema.sequences WHERE sequence_schema = '…';

SELECT c.column_name AS name, c.udt_name AS type, k.ordinal_position::int8 AS "keyPosition" FROM information_schema.columns c LEFT JOIN ( SELECT u.column_name, u.ordinal_position FROM information_schema.table_constraints t JOIN information_schema.key_column_usage u ON u.constraint_name = t.constraint_name AND u.table_schema = t.table_schema AND u.table_name = t.table_name WHERE t.table_schema = '…' AND t.table_name = $1 AND t.constraint_type = '…') k ON k.column_name = c.column_name WHERE c.table_schema = '…' AND c.table_name = $1 AND c.is_generated <> '…' AND NOT (c.column_name = '…' AND COALESCE(c.column_default, '…') = '…') ORDER BY "keyPosition" NULLS LAST, c.ordinal_position;

SELECT c.relname AS "table", con.conname AS name, pg_get_constraintdef(con.oid) AS definition FROM pg_catalog.pg_constraint con JOIN pg_catalog.pg_class c ON c.oid = con.conrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = '…' AND con.contype = '…' ORDER BY 1, 2;

SELECT c.relname AS "table", concat_ws('…', '…', c.relname, con.conname, con.convalidated::text, pg_get_constraintdef(con.oid)) AS text FROM pg_catalog.pg_constraint con JOIN pg_catalog.pg_class c ON c.oid = con.conrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = '…';

SELECT clock_timestamp() >= $1::timestamptz AS late;

SELECT clock_timestamp() AS now;

SELECT cluster_logical_timestamp()::text AS token, clock_timestamp() AS "takenAt";

SELECT concat('…', table_name, '…') AS object, grantee, privilege_type AS privilege FROM information_schema.table_privileges WHERE table_schema = '…';

SELECT count(*) AS count FROM public."api_tokens";

SELECT count(*) AS count FROM public."api_tokens" t WHERE t.crdb_internal_mvcc_timestamp > COALESCE( (SELECT m.crdb_internal_mvcc_timestamp FROM public."audit_events" m WHERE m."position" = $1), 0);

SELECT count(*) AS count FROM public."apps";

SELECT count(*) AS count FROM public."apps" t WHERE t.crdb_internal_mvcc_timestamp > COALESCE( (SELECT m.crdb_internal_mvcc_timestamp FROM public."audit_events" m WHERE m."position" = $1), 0);

SELECT count(*) AS count FROM public."audit_events";

SELECT count(*) AS count FROM public."builds";

SELECT count(*) AS count FROM public."builds" t WHERE t.crdb_internal_mvcc_timestamp > COALESCE( (SELECT m.crdb_internal_mvcc_timestamp FROM public."audit_events" m WHERE m."position" = $1), 0);

SELECT count(*) AS count FROM public."ca_keys";

SELECT count(*) AS count FROM public."ca_keys" t WHERE t.crdb_internal_mvcc_timestamp > COALESCE( (SELECT m.crdb_internal_mvcc_timestamp FROM public."audit_events" m WHERE m."position" = $1), 0);

SELECT count(*) AS count FROM public."certificates";

SELECT count(*) AS count FROM public."certificates" t WHERE t.crdb_internal_mvcc_timestamp > COALESCE( (SELECT m.crdb_internal_mvcc_timestamp FROM public."audit_events" m WHERE m."position" = $1), 0);

SELECT count(*) AS count FROM public."cluster";

SELECT count(*) AS count FROM public."credentials";

SELECT count(*) AS count FROM public."key_epochs";

SELECT count(*) AS count FROM public."key_slots";

SELECT count(*) AS count FROM public."memberships";

SELECT count(*) AS count FROM public."nodes";

SELECT count(*) AS count FROM public."restores";

SELECT count(*) AS count FROM public."settings";

SELECT count(*) AS count FROM public."settings" t WHERE t.crdb_internal_mvcc_timestamp > COALESCE( (SELECT m.crdb_internal_mvcc_timestamp FROM public."audit_events" m WHERE m."position" = $1), 0);

SELECT count(*) AS count FROM public."tasks";

SELECT count(*) AS count FROM public."tasks" t WHERE t.crdb_internal_mvcc_timestamp > COALESCE( (SELECT m.crdb_internal_mvcc_timestamp FROM public."audit_events" m WHERE m."position" = $1), 0);

SELECT count(*) AS count FROM public."users";

SELECT count(*) AS count FROM public."users" t WHERE t.crdb_internal_mvcc_timestamp > COALESCE( (SELECT m.crdb_internal_mvcc_timestamp FROM public."audit_events" m WHERE m."position" = $1), 0);

SELECT count(*) AS documents, CAST(coalesce(sum(size), 0) AS INT8) AS bytes FROM (SELECT octet_length(document) AS size FROM "memberships" UNION ALL SELECT octet_length(document) AS size FROM "credentials" UNION ALL SELECT octet_length(document) AS size FROM "key_epochs" UNION ALL SELECT octet_length(document) AS size FROM "key_slots") AS sizes;

SELECT current_user AS name;

SELECT d.oid::text || '…' || c.oid::text AS place FROM pg_catalog.pg_database d, pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE d.datname = current_database() AND n.nspname = '…' AND c.relname = $1;

SELECT data_type FROM information_schema.columns WHERE table_schema = current_schema() AND table_name = '…' AND column_name = '…';

SELECT datname AS name FROM pg_catalog.pg_database;

SELECT event_object_table AS "table", concat_ws('…', '…', trigger_name, event_manipulation, action_timing, action_statement) AS text FROM information_schema.triggers WHERE trigger_schema = '…';

SELECT grantee, privilege_type AS privilege, is_grantable::bool AS grantable FROM [SHOW GRANTS ON DATABASE "…"];

SELECT me.rolname AS role, me.rolsuper AS superuser, me.rolcreatedb AS "createDatabase", owner.rolname AS owner, owner.oid IS NULL OR pg_has_role(me.oid, owner.oid, '…') AS "ownsLive" FROM pg_catalog.pg_roles me LEFT JOIN pg_catalog.pg_database d ON d.datname = $1 LEFT JOIN pg_catalog.pg_roles owner ON owner.oid = d.datdba WHERE me.rolname = current_user;

SELECT name FROM pg_catalog.pg_settings WHERE name = '…';

SELECT oid::text AS oid FROM pg_catalog.pg_database WHERE datname = $1;

SELECT r.rolname AS owner FROM pg_catalog.pg_database d JOIN pg_catalog.pg_roles r ON r.oid = d.datdba WHERE d.datname = $1;

SELECT r.rolname AS role, s.setting FROM (SELECT setrole, unnest(setconfig) AS setting FROM pg_catalog.pg_db_role_setting WHERE setdatabase = (SELECT oid FROM pg_catalog.pg_database WHERE datname = $1)) s LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.setrole;

SELECT r.rolname AS role, split_part(s.setting, '…', 1) AS name, substr(s.setting, strpos(s.setting, '…') + 1) AS value FROM (SELECT setrole, unnest(setconfig) AS setting FROM pg_catalog.pg_db_role_setting WHERE setdatabase = (SELECT oid FROM pg_catalog.pg_database WHERE datname = $1)) s LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.setrole;

SELECT set_config('…', '…', false);

SELECT set_config('…', '…', true);

SELECT table_name AS "table", concat_ws('…', '…', table_name, ordinal_position::text, column_name, udt_name, '…', is_nullable, '…', column_default, '…', is_generated, generation_expression) AS text FROM information_schema.columns WHERE table_schema = '…';

SELECT table_name AS "table", concat_ws('…', '…', table_type, table_schema, table_name) AS text FROM information_schema.tables WHERE table_schema = '…';

SELECT table_name AS name FROM information_schema.tables WHERE table_schema = '…' AND table_type = '…';

SELECT table_name FROM information_schema.tables WHERE table_schema = '…';

SELECT tablename AS "table", concat_ws('…', '…', indexname, replace(indexdef, concat('…', current_database(), '…'), '…')) AS text FROM pg_catalog.pg_indexes WHERE schemaname = '…';

SELECT version() AS banner, current_setting('…') AS version, current_setting('…') AS "versionNumber";

SET LOCAL idle_in_transaction_session_timeout = 5000;

UPDATE "node_invites" SET "sealed_mac_key" = $1 WHERE "invite_id" = $2;

commit;

delete from "credentials";

delete from "key_epochs";

delete from "key_slots";

delete from "life_seals";

delete from "memberships";

delete from "servers";

delete from "servers" where "expires_at" <= clock_timestamp();

delete from "servers" where "server_id" = $1;

insert into "audit_events" ("position", "event_id", "occurred_at", "type", "action", "actor", "subject", "details", "previous_hash", "hash") values ($1, …);

insert into "cluster" ("singleton", "cluster_id", "state", "incarnation_number", "incarnation_random", "created_at") values ($1, …);

insert into "cluster" ("singleton", "created_at", "cluster_id", "state", "incarnation_number", "incarnation_random") values ($1, …) on conflict ("singleton") do update set "cluster_id" = $7, "state" = $8, "incarnation_number" = $9, "incarnation_random" = $10;

insert into "credentials" ("credential_id", "node_id", "document") values ($1, …);

insert into "key_epochs" ("epoch", "document") values ($1, …);

insert into "key_slots" ("epoch", "node_id", "credential_id", "document") values ($1, …);

insert into "leases" ("name", "counter") values ($1, …) on conflict ("name") do nothing;

insert into "life_seals" ("singleton", "seal") values ($1, …);

insert into "memberships" ("number", "document") values ($1, …);

insert into "node_invites" ("invite_id", "sealed_mac_key", "created_by", "created_at", "expires_at") values ($1, …, clock_timestamp(), clock_timestamp() + $4::INT8 * INTERVAL '…');

insert into "node_proofs" ("node_id", "proved_at", "epochs") values ($1, …) on conflict ("node_id") do update set "proved_at" = $4, "epochs" = $5;

insert into "nodes" ("node_id", "labels", "created_at", "name", "site", "status", "credential_id", "hardware_identity", "sealing_provider", "grade", "membership_number", "updated_at") values ($1, …) on conflict ("node_id") do update set "name" = $13, "site" = $14, "status" = $15, "credential_id" = $16, "hardware_identity" = $17, "sealing_provider" = $18, "grade" = $19, "membership_number" = $20, "updated_at" = $21;

insert into "operation_runs" ("run_id", "kind", "cause", "holder", "outcome", "backup_id", "details", "began_at") values ($1, …);

insert into "restores" ("restore_id", "backup_id", "backup_sequence", "state", "incarnation_number", "incarnation_random", "begun_by", "begun_at", "ended_at", "safety_backup_id", "before_database", "replaced_incarnation_number", "replaced_incarnation_random", "replaced_audit_position", "replaced_audit_hash", "cleaned_up_at") values ($1, …);

insert into "schema_migrations" ("version", "name", "checksum", "applied_at") values ($1, …, now());

insert into "servers" ("server_id", "node_id", "host", "process_id", "address", "product_version", "started_at", "heartbeat_at", "expires_at") values ($1, …, clock_timestamp(), clock_timestamp(), clock_timestamp() + $7::INT8 * INTERVAL '…');

select "began_at" from "operation_runs" where "kind" = $1 order by "began_at" desc limit $2 offset $3;

select "cluster_id", "state", "incarnation_random", "created_at", LEAST(incarnation_number, 9007199254740991) as "incarnation_number" from "cluster";

select "epoch", "document" from "key_epochs" where "epoch" > $1 and "epoch" <= $2 order by "epoch";

select "event_id" from "audit_events" where "position" >= $1 limit $2;

select "incarnation_random", "holder", "expires_at", GREATEST(LEAST("counter", 9007199254740991), 0) as "counter", GREATEST(LEAST("incarnation_number", 9007199254740991), 0) as "incarnation_number", "expires_at" > clock_timestamp() as "live" from "leases" where "name" = $1 for update;

select "invite_id", "sealed_mac_key" from "node_invites" where "expires_at" > clock_timestamp();

select "node_id", "status" from "nodes";

select "position", "hash" from "audit_events" where "position" < $1 order by "position" desc limit $2;

select "seal" from "life_seals" where octet_length(seal) <= 256 limit $1;

select "server_id", "node_id", "host", "process_id", "address", "product_version", "started_at", "heartbeat_at", "acknowledged_maintenance_id" from "servers" where "expires_at" > clock_timestamp() and "started_at" >= $1 and "started_at" <= $2 and "heartbeat_at" >= $3 and "heartbeat_at" <= $4 and "process_id" >= $5 and "process_id" <= $6 order by "started_at", "server_id";

select "singleton" from "maintenance" for share;

select "version" from "schema_migrations" where "version" = $1 for update;

select "version", "checksum" from "schema_migrations" where "version" > $1 order by "version";

select * from "audit_events" where "position" <= $1 order by "position" desc limit $2;

select * from "audit_events" where "position" > $1 order by "position" limit $2;

select * from "audit_events" where "type" = $1 and "subject" = $2 and "position" <= $3 order by "position" desc limit $4;

select * from "credentials";

select * from "join_requests" where "status" = $1 and ("challenge" is null or "answer" is not null) order by "created_at", "join_request_id" limit $2;

select * from "key_epochs" where "epoch" <= $1;

select * from "key_slots" where "epoch" <= $1;

select * from "maintenance" where "expires_at" > clock_timestamp();

select * from "memberships" where "number" <= $1;

select * from "node_proofs";

select * from "nodes" order by "name", "node_id";

select * from "operation_runs" where "kind" = $1 and "began_at" <= $2 order by "began_at" desc, "run_id" desc limit $3;

select * from "operation_runs" where "kind" = $1 and "outcome" = $2 and "began_at" <= $3 order by "began_at" desc, "run_id" desc limit $4;

select * from "restores" where "restore_id" = $1;

select * from "restores" where ("backup_sequence" is null or "backup_sequence" <= $1) and ("incarnation_number" is null or "incarnation_number" <= $2) and ("replaced_incarnation_number" is null or "replaced_incarnation_number" <= $3) and ("replaced_audit_position" is null or "replaced_audit_position" <= $4) order by "restore_id" desc;

select distinct "membership_number" from "nodes" where "membership_number" <= $1 order by "membership_number" desc limit $2;

select max("epoch") as "newest", count(*) as "rows" from "key_epochs" where "epoch" <= $1;

select max("number") as "newest", count(*) as "rows" from "memberships" where "number" <= $1;

start transaction isolation level serializable;

update "cluster" set "state" = $1;

update "join_requests" set "status" = $1, "reason" = $2, "decided_at" = $3 where "invite_id" = $4 and "status" = $5;

update "leases" set "counter" = $1, "holder" = $2, "incarnation_number" = $3, "incarnation_random" = $4, "acquired_at" = clock_timestamp(), "expires_at" = clock_timestamp() + $5::INT8 * INTERVAL '…' where "name" = $6;

update "leases" set "expires_at" = clock_timestamp() + $1::INT8 * INTERVAL '…' where "name" = $2 and "counter" = $3 and "incarnation_number" = $4 and "incarnation_random" = $5 and "holder" is not null returning "expires_at";

update "leases" set "holder" = $1, "expires_at" = $2;

update "leases" set "holder" = $1, "expires_at" = $2 where "name" = $3 and "counter" = $4 and "incarnation_number" = $5 and "incarnation_random" = $6 and "holder" is not null;

update "maintenance" set "expires_at" = clock_timestamp() + $1::INT8 * INTERVAL '…' where "maintenance_id" = $2 and "expires_at" > clock_timestamp() returning "expires_at";

update "maintenance" set "maintenance_id" = $1, "reason" = $2, "begun_by" = $3, "begun_at" = $4, "expires_at" = $5;

update "maintenance" set "maintenance_id" = $1, "reason" = $2, "begun_by" = $3, "begun_at" = clock_timestamp(), "expires_at" = clock_timestamp() + $4::INT8 * INTERVAL '…';

update "node_invites" set "expires_at" = clock_timestamp() where "invite_id" = $1;

update "operation_runs" set "outcome" = $1, "backup_id" = $2, "error_code" = $3, "error_message" = $4, "details" = $5, "ended_at" = $6 where "run_id" = $7;

update "operation_runs" set "outcome" = $1, "ended_at" = $2 where "kind" = $3 and "outcome" = $4;

update "restores" set "cleaned_up_at" = $1 where "restore_id" = $2;

update "restores" set "state" = $1, "ended_at" = $2 where "restore_id" = $3;

update "schema_migrations" set "applied_at" = now() where "version" = $1;

update "servers" set "acknowledged_maintenance_id" = $1 where "server_id" = $2;

update "servers" set "heartbeat_at" = clock_timestamp(), "expires_at" = clock_timestamp() + $1::INT8 * INTERVAL '…' where "server_id" = $2 and "expires_at" > clock_timestamp();

update "write_locks" set "taken" = case when "taken" = $1 then 1 else 0 end where "name" = $2;
