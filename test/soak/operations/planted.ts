import type { Chance } from '../../../demo/contents/chance.ts';

/** More than a number here can hold, and the most that an int8 can. */
const huge = '1152921504606846976';
const most = '9223372036854775807';
const zeros = `decode(repeat('00', 32), 'hex')`;
const id = 'gen_random_uuid()';

/** What somebody who writes rows reads before. */
export interface Before {
  readonly clusterId: string;
  readonly incarnation: string;
  /** Of the rows, whatever they say. */
  readonly highestMembership: number;
}

export interface Planted {
  readonly name: string;
  plant(before: Before, chance: Chance): string;
  undo(before: Before): string;
}

/** Rows that count for nothing: everything goes on beside them, and whoever leaves them there finds them in the backups. */
export const passedOver: readonly Planted[] = [
  junk('memberships', ['number', 'document'], [huge, `'\\x6a'`], 'number'),
  {
    name: 'the next membership',
    plant: ({ highestMembership }) =>
      `INSERT INTO memberships (number, document) VALUES (${highestMembership + 1}, '\\x6a') ON CONFLICT DO NOTHING`,
    undo: () => `DELETE FROM memberships WHERE document = '\\x6a'`,
  },
  junk('key_epochs', ['epoch', 'document'], [most, `'\\x6a'`], 'epoch'),
  junk('key_slots', ['epoch', 'node_id', 'credential_id', 'document'], [huge, id, id, `'\\x6a'`], 'epoch'),
  junk(
    'audit_events',
    ['position', 'event_id', 'occurred_at', 'type', 'action', 'actor', 'details', 'previous_hash', 'hash'],
    [most, id, 'now()', `'ADMIN'`, `'planted'`, `'me'`, `'{}'`, zeros, zeros],
    'position',
  ),
  {
    name: 'a restore of a huge sequence',
    plant: () => restoreRecord({ restoreId: 'planted', sequence: huge }),
    undo: () => `DELETE FROM restores WHERE restore_id = 'planted'`,
  },
  {
    name: 'a run of next century with junk in it',
    plant:
      () => `INSERT INTO operation_runs (run_id, kind, cause, holder, outcome, backup_id, details, began_at, ended_at)
      VALUES (${id}, 'backup', 'manual', 'planted', 'succeeded', 'no-such-backup', '[null, {"at": 1e400}]',
        now() + interval '100 years', now() + interval '101 years')`,
    undo: () => `DELETE FROM operation_runs WHERE holder = 'planted'`,
  },
  {
    name: 'counters at their end',
    plant: () =>
      `UPDATE write_locks SET taken = ${most};
       UPDATE leases SET counter = ${most}, incarnation_number = ${most} WHERE holder IS NULL`,
    undo: () => '',
  },
];

/** Rows about the cluster itself: nothing goes on until they are right again. */
export const stopping: readonly Planted[] = [
  ...['4294967296', '9007199254740991', most].map((number) => ({
    name: `incarnation_number ${number}`,
    plant: () => `UPDATE cluster SET incarnation_number = ${number}`,
    undo: ({ incarnation }: Before) => `UPDATE cluster SET incarnation_number = ${incarnation}`,
  })),
  {
    name: 'another cluster_id',
    plant: () => `UPDATE cluster SET cluster_id = '11111111-1111-4111-8111-111111111111'`,
    undo: ({ clusterId }) => `UPDATE cluster SET cluster_id = '${clusterId}'`,
  },
];

/** Of this life of the database, and without its own, which would say what it replaced. */
export const falseRestore: Planted = {
  name: 'a restore that replaced another database',
  plant: () => restoreRecord({ restoreId: '20260101T000000Z-aaaaaa', sequence: '1', ofThisLife: true }),
  undo: () => `DELETE FROM restores WHERE restore_id = '20260101T000000Z-aaaaaa'`,
};

export const endlessLease: Planted = {
  name: 'a lease without end',
  plant: () =>
    `UPDATE leases SET counter = 99, holder = 'planted', acquired_at = now(), expires_at = now() + interval '100 years',
       incarnation_number = cluster.incarnation_number, incarnation_random = cluster.incarnation_random
       FROM cluster WHERE name = 'operation'`,
  undo: () => `UPDATE leases SET expires_at = now() - interval '1 second' WHERE holder = 'planted'`,
};

function junk(table: string, columns: readonly string[], values: readonly string[], number: string): Planted {
  return {
    name: `${table}.${number}`,
    plant: () =>
      `INSERT INTO ${table} (${columns.join(', ')}) SELECT ${values.join(', ')}
         WHERE NOT EXISTS (SELECT 1 FROM ${table} WHERE ${number} = ${values[0]})`,
    undo: () => `DELETE FROM ${table} WHERE ${number} = ${values[0]}`,
  };
}

function restoreRecord(of: {
  readonly restoreId: string;
  readonly sequence: string;
  readonly ofThisLife?: boolean;
}): string {
  const life = of.ofThisLife === true ? 'incarnation_number, incarnation_random' : `1, repeat('0', 16)`;
  return `INSERT INTO restores (restore_id, backup_id, backup_sequence, state, begun_by, begun_at, before_database,
      incarnation_number, incarnation_random)
    SELECT '${of.restoreId}', 'no-such-backup', ${of.sequence}, 'complete', 'planted', now(), 'postgres', ${life} FROM cluster
    ON CONFLICT DO NOTHING`;
}
