import { sql } from 'kysely';
import type { Chance } from '../../../demo/contents/chance.ts';
import type { Expectation } from '../invariants.ts';
import { requireServing } from '../serving.ts';
import { stateOf, type SealedPlace, type State } from '../state.ts';
import { require } from '../violation.ts';
import { writes } from '../writes.ts';
import { requireExit, type World } from '../world.ts';
import { chooseBackup, naming } from './backups.ts';
import type { Operation } from './operation.ts';
import { endlessLease, falseRestore, passedOver, stopping, type Before, type Planted } from './planted.ts';

/** Somebody who may write every row of the live database does so. What he wrote is put right, or passed over for ever. */
export const plantRows: Operation = {
  name: 'plant rows by SQL',
  weight: ({ model }) => (model.live === undefined || model.backups.size === 0 ? 0 : 6),
  run: async (world, chance) => {
    await world.letLeasesExpire();
    const kinds = [beside, beside, stop, breakSecret, holdLease];
    if (world.model.replaced.size === 0) kinds.push(pretendRestore);
    return await chance.oneOf(kinds)(world, chance);
  },
};

/** The row of the cluster: every command names it and changes nothing, until it is put right or the database replaced. */
async function stop(world: World, chance: Chance): Promise<Expectation> {
  const planted = chance.oneOf(stopping);
  const before = await plant(world, planted, chance);
  const host = world.anyEnrolled(chance);
  const { id } = chooseBackup(world, chance);
  const restore = ['restore', 'run', id, '--yes', '--cluster-key', world.model.clusterKey!];
  const refused = [
    ['status'],
    ['backup', 'create'],
    ['keys', 'rotate', '--yes'],
    ['restore', 'rollback', '--yes'],
    restore,
  ];
  for (const words of new Set([chance.oneOf(refused), chance.oneOf(refused)])) {
    const outcome = await world.run(host, words);
    // 12: a restore finds another cluster's database in the place where it would restore to.
    requireExit(outcome, words === restore ? [12, 20] : [20], `${words.join(' ')} beside ${planted.name}`);
  }
  world.tally.add('refused: planted row');
  if (planted.name.startsWith('incarnation') && chance.integer(1, 3) === 1) return await replace(world, chance);
  await world.runScript(planted.undo(before));
  await requireServing(world);
  return {};
}

/** The way out that the error names. What was planted stays in the replaced database, which therefore goes. */
async function replace(world: World, chance: Chance): Promise<Expectation> {
  const { model, repository } = world;
  const backup = chooseBackup(world, chance);
  const host = world.anyEnrolled(chance);
  const trust = ['--yes', '--cluster-key', model.clusterKey!, '--without-safety-backup'];
  // A lost chunk stops this one; another backup, or the row put right by hand, is the way out then.
  const lost = repository.lostChunks(backup.id);
  const restored = await world.run(host, ['restore', 'run', backup.id, ...trust]);
  requireExit(restored, [lost.length === 0 ? 0 : 20], `restore run ${backup.id} over a planted incarnation`);
  if (restored.exitCode === 20) {
    lost.forEach((chunk) => model.foundLost.add(chunk));
    const number = model.live!.incarnation.split(' ')[0]!;
    await world.runScript(`UPDATE cluster SET incarnation_number = ${number}`);
    return {};
  }
  requireExit(await world.run(host, ['restore', 'cleanup', '--yes']), [0], 'restore cleanup of a planted incarnation');
  model.replaced.clear();
  model.doomed.clear();
  world.mayHaveStaging = false;
  world.tally.add('restored over a planted row');
  return { live: backup.states, liveChanged: true, backups: [] };
}

/** Rows that nothing reads, or that are no rows of the program: it goes on beside them, for good where nobody looks. */
async function beside(world: World, chance: Chance): Promise<Expectation> {
  const planted = chance.oneOf(passedOver);
  const before = await plant(world, planted, chance);
  const [words, codes] = chance.oneOf([
    [['backup', 'create'], [0]],
    [['backup', 'create'], [0]],
    [['status'], [0, 1]],
    [['keys', 'status'], [0]],
    [['node', 'list'], [0]],
    [['restore', 'plan', 'latest'], [0]],
    [['audit', 'verify'], planted.name.startsWith('audit_events') ? [20] : [0, 20]],
  ] as [string[], number[]][]);
  requireExit(await world.run(world.anyEnrolled(chance), words), codes, `${words.join(' ')} beside ${planted.name}`);
  const stays = chance.integer(1, 2) === 1;
  if (!stays) await world.runScript(planted.undo(before));
  world.journal.note('planted rows', { stay: stays });
  await requireServing(world);
  return { backups: [world.model.live!] };
}

/** A sealed value that nobody sealed for its row: it is backed up as it is, and no new keys make it one that counts. */
async function breakSecret(world: World, chance: Chance): Promise<Expectation> {
  const { model } = world;
  const before = await withSecret(world, chance);
  const [row] = await sealedRows(world, chance);
  const { table, column, key, sealed } = row!;
  const spoilt = spoil(sealed, chance);
  await setSealed(world, { table, column, key }, spoilt);
  world.journal.note('planted', { name: `${table}.${column} of ${key}` });
  world.tally.add('planted: a sealed value');
  const spoiltState = await world.stateOf(world.place.liveName);
  require(spoiltState?.unreadable.length === before.unreadable.length + 1, () => `${table} of ${key} opens still`);
  const host = world.anyEnrolled(chance);
  const refused = await world.run(host, ['keys', 'rotate', '--yes']);
  requireExit(refused, [20], `keys rotate beside a planted ${table}.${column}`);
  const backup = await world.run(host, ['backup', 'create']);
  requireExit(backup, [0], `backup create beside a planted ${table}.${column}`);
  await setSealed(world, { table, column, key }, sealed);
  model.live = before;
  world.tally.add('refused: planted row');
  return { backups: [spoiltState] };
}

/** The live database with at least one secret that opens. */
async function withSecret(world: World, chance: Chance): Promise<State> {
  const state = await world.withDatabase((database, keyring) =>
    database.transaction(async (queries) => {
      await writes['save a secret']!(queries, keyring, chance);
      return await stateOf(queries, keyring);
    }),
  );
  world.model.live = state!;
  return state!;
}

interface SealedRow extends SealedPlace {
  readonly sealed: Buffer;
}

/** Those that open, in an order by chance. */
async function sealedRows(world: World, chance: Chance): Promise<SealedRow[]> {
  const unreadable = world.model.live!.unreadable.map(({ table, key }) => `${table} ${key}`);
  const rows = await world.withDatabase(async ({ queries }) => {
    const found = await sql<SealedRow>`
      SELECT 'settings' AS table, 'sealed_secret' AS column, name AS key, sealed_secret AS sealed FROM settings
       WHERE sealed_secret IS NOT NULL
      UNION ALL SELECT 'ca_keys', 'sealed_private_key', ca_key_id::text, sealed_private_key FROM ca_keys
      ORDER BY 3`.execute(queries);
    return found.rows;
  });
  const good = rows.filter(({ table, key }) => !unreadable.includes(`${table} ${key}`));
  const first = chance.oneOf(good);
  return [first, ...good.filter((row) => row !== first)];
}

/** Another key's ciphertext, one bit of it, or what nobody sealed at all. */
function spoil(sealed: Buffer, chance: Chance): Buffer {
  const kind = chance.integer(1, 3);
  if (kind === 1) return Buffer.from('planted');
  const spoilt = Buffer.from(sealed);
  spoilt[spoilt.length - chance.integer(1, 20)]! ^= 1 << chance.integer(0, 7);
  return kind === 2 ? spoilt : spoilt.subarray(0, spoilt.length - chance.integer(1, 20));
}

const setSealed = (world: World, { table, column, key }: SealedPlace, bytes: Buffer): Promise<void> =>
  world.runScript(
    `UPDATE ${table} SET ${column} = '\\x${bytes.toString('hex')}' WHERE ${keyColumn(table)}::text = '${key}'`,
  );

const keyColumn = (table: string): string => (table === 'settings' ? 'name' : 'ca_key_id');

/** What a person does about values that stop new keys: each is lost, and is set anew later. */
export async function dropUnreadable(world: World): Promise<void> {
  for (const { table, key } of world.model.live?.unreadable ?? []) {
    await world.runScript(
      table === 'settings'
        ? `UPDATE settings SET sealed_secret = NULL WHERE name = '${key}'`
        : `DELETE FROM ${table} WHERE ${keyColumn(table)}::text = '${key}'`,
    );
  }
  world.model.live = await world.stateOf(world.place.liveName);
  require(world.model.live?.unreadable.length === 0, () => 'a planted value is still there');
}

/**
 * He can keep the cluster from being backed up, and every command says who holds the lease; reading goes on. An embedded
 * database that nothing else has open has no holders.
 */
async function holdLease(world: World, chance: Chance): Promise<Expectation> {
  const before = await plant(world, endlessLease, chance);
  const host = world.anyEnrolled(chance);
  const held = await world.run(host, ['backup', 'create']);
  if (world.place.kind === 'embedded' && host.serving === undefined) {
    requireExit(held, [0], 'backup create by the only process, which frees what nobody can hold');
    return {};
  }
  requireExit(held, [13], 'backup create beside a lease without end');
  require(held.error?.includes('planted') === true, () => `the holder of the lease is not named: ${held.error}`);
  const { id } = chooseBackup(world, chance);
  const code = world.repository.isRestorable(id) ? 0 : 20;
  requireExit(
    await world.run(host, ['backup', 'verify', id, ...naming(world)]),
    [code],
    'backup verify beside a lease without end',
  );
  if (code === 20) world.repository.lostChunks(id).forEach((chunk) => world.model.foundLost.add(chunk));
  await world.runScript(endlessLease.undo(before));
  requireExit(await world.run(host, ['backup', 'create']), [0], 'backup create after a lease without end');
  return {};
}

/** A record of a restore names the server's own database as the one that it replaced. */
async function pretendRestore(world: World, chance: Chance): Promise<Expectation> {
  const before = await plant(world, falseRestore, chance);
  const host = world.anyEnrolled(chance);
  requireExit(await world.run(host, ['restore', 'rollback', '--yes']), [3], 'rollback of a restore that never was');
  requireExit(await world.run(host, ['restore', 'cleanup', '--yes']), [0], 'cleanup of a restore that never was');
  world.mayHaveStaging = false;
  const identity = await world.place.withServer((server) => server.databaseIdentity('postgres'));
  require(identity !== undefined, () => 'a false record of a restore had the database "postgres" dropped');
  await world.runScript(falseRestore.undo(before));
  return {};
}

async function plant(world: World, planted: Planted, chance: Chance): Promise<Before> {
  const before = await world.withDatabase(async ({ queries }) => {
    const { rows } = await sql<Before>`SELECT cluster_id AS "clusterId", incarnation_number::text AS incarnation,
      (SELECT max(number) FROM memberships WHERE number < 4294967295) AS "highestMembership" FROM cluster`.execute(
      queries,
    );
    return rows[0]!;
  });
  await world.runScript(planted.plant(before, chance));
  world.journal.note('planted', { name: planted.name });
  world.tally.add(`planted: ${planted.name}`);
  return before;
}
