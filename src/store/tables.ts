import type { ColumnType, Kysely } from 'kysely';
import type { AuditEventType } from '#model/audit-event.ts';
import type { BuildStatus } from '#model/build.ts';
import type { CertificateStatus } from '#model/certificate.ts';
import type { JsonObject, JsonValue } from '#model/json.ts';
import type { NodeStatus } from '#model/node.ts';
import type { Role } from '#model/roles.ts';
import type { TaskStatus, TaskType } from '#model/tasks.ts';
import type { Database } from '#ports/database.ts';

/** Queries on one database, alone or inside a transaction. */
export type Queries = Kysely<unknown>;

/** The same queries with the types of the manager's tables. */
export function tablesOf(source: Database | Queries): Kysely<Tables> {
  return 'tableNames' in source ? source.queries : source;
}

/** Read as a parsed value, written as JSON text. */
type Json<T extends JsonValue = JsonValue> = ColumnType<T, string, string>;

export interface Tables {
  schema_migrations: { version: number; name: string; checksum: string; applied_at: Date };
  cluster: {
    singleton: boolean;
    cluster_id: string;
    state: 'creating' | 'ready';
    incarnation_number: number;
    incarnation_random: string;
    created_at: Date;
  };
  life_seals: { singleton: boolean; seal: Buffer };
  memberships: { number: number; document: Buffer };
  credentials: { credential_id: string; node_id: string; document: Buffer };
  key_epochs: { epoch: number; document: Buffer };
  key_slots: { epoch: number; node_id: string; credential_id: string; document: Buffer };
  nodes: {
    node_id: string;
    name: string;
    site: string | null;
    status: NodeStatus;
    credential_id: string;
    hardware_identity: string;
    sealing_provider: string;
    grade: string;
    membership_number: number;
    labels: Json<JsonObject>;
    created_at: Date;
    updated_at: Date;
  };
  node_proofs: { node_id: string; proved_at: Date; epochs: Json<number[]> };
  node_invites: {
    invite_id: string;
    sealed_mac_key: Buffer;
    created_by: string;
    created_at: Date;
    expires_at: Date;
    used_at: Date | null;
  };
  join_requests: {
    join_request_id: string;
    invite_id: string;
    request: Buffer;
    mac: Buffer;
    status: 'PENDING' | 'ADMITTED' | 'REFUSED';
    reason: string | null;
    node_id: string | null;
    created_at: Date;
    decided_at: Date | null;
    challenge: Buffer | null;
    answer: Buffer | null;
  };
  leases: {
    name: string;
    counter: number;
    incarnation_number: number | null;
    incarnation_random: string | null;
    holder: string | null;
    acquired_at: Date | null;
    expires_at: Date | null;
  };
  write_locks: { name: string; taken: number };
  servers: {
    server_id: string;
    node_id: string | null;
    host: string;
    process_id: number;
    address: string | null;
    product_version: string;
    started_at: Date;
    heartbeat_at: Date;
    expires_at: Date;
    acknowledged_maintenance_id: string | null;
  };
  maintenance: {
    singleton: boolean;
    maintenance_id: string | null;
    reason: string | null;
    begun_by: string | null;
    begun_at: Date | null;
    expires_at: Date | null;
  };
  operation_runs: {
    run_id: string;
    kind: 'backup' | 'drill' | 'verify' | 'prune';
    cause: 'schedule' | 'manual' | 'safety';
    holder: string;
    outcome: 'running' | 'succeeded' | 'failed' | 'interrupted';
    backup_id: string | null;
    error_code: string | null;
    error_message: string | null;
    details: Json<JsonObject>;
    began_at: Date;
    ended_at: Date | null;
  };
  restores: {
    restore_id: string;
    backup_id: string;
    backup_sequence: number;
    state: 'prepared' | 'swapped' | 'complete' | 'rolled-back';
    incarnation_number: number;
    incarnation_random: string;
    begun_by: string;
    begun_at: Date;
    ended_at: Date | null;
    safety_backup_id: string | null;
    before_database: string | null;
    replaced_incarnation_number: number | null;
    replaced_incarnation_random: string | null;
    replaced_audit_position: number | null;
    replaced_audit_hash: string | null;
    cleaned_up_at: Date | null;
  };
  users: {
    user_id: string;
    email: string;
    display_name: string;
    role: Role;
    status: 'invited' | 'approved' | 'disabled';
    password_hash: string | null;
    created_at: Date;
    approved_at: Date | null;
    approved_by: string | null;
  };
  api_tokens: {
    token_id: string;
    user_id: string;
    name: string;
    token_hash: Buffer;
    created_at: Date;
    expires_at: Date | null;
    revoked_at: Date | null;
  };
  sessions: { session_id: string; user_id: string; token_hash: Buffer; created_at: Date; expires_at: Date };
  apps: {
    app_id: string;
    name: string;
    description: string;
    domains: Json<readonly string[]>;
    labels: Json<JsonObject>;
    owner_id: string;
    created_at: Date;
  };
  builds: {
    build_id: string;
    app_id: string;
    version: string;
    image: string;
    mrenclave: string;
    mrsigner: string;
    isvprodid: number;
    isvsvn: number;
    status: BuildStatus;
    created_at: Date;
  };
  tasks: {
    task_id: string;
    type: TaskType;
    status: TaskStatus;
    subject: string;
    description: string;
    details: Json<JsonObject>;
    requester_id: string | null;
    reviewer_id: string | null;
    created_at: Date;
    decided_at: Date | null;
  };
  ca_keys: {
    ca_key_id: string;
    zone: string;
    algorithm: string;
    certificate: Buffer;
    sealed_private_key: Buffer;
    created_at: Date;
    retired_at: Date | null;
  };
  certificates: {
    certificate_id: string;
    ca_key_id: string;
    app_id: string;
    build_id: string | null;
    node_id: string | null;
    subject: string;
    serial_number: string;
    status: CertificateStatus;
    certificate: Buffer | null;
    not_before: Date | null;
    not_after: Date | null;
    created_at: Date;
  };
  settings: { name: string; value: Json; sealed_secret: Buffer | null; updated_at: Date };
  audit_events: {
    position: number;
    event_id: string;
    occurred_at: Date;
    type: AuditEventType;
    action: string;
    actor: string;
    subject: string | null;
    details: Json<JsonObject>;
    previous_hash: Buffer;
    hash: Buffer;
  };
}
