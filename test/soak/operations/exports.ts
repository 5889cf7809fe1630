import { readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Chance } from '../../../demo/contents/chance.ts';
import { psql, psqlUnavailable } from '../../fixtures/psql.ts';
import { drawFault } from '../faults.ts';
import type { SoakHost } from '../hosts.ts';
import type { ModelBackup } from '../model.ts';
import { requireSame } from '../proof.ts';
import { isAuditPrefix, readState } from '../state.ts';
import { require } from '../violation.ts';
import { requireExit, type World } from '../world.ts';
import { chooseBackup, naming, wordFor } from './backups.ts';
import type { Operation } from './operation.ts';

/** A backup as SQL, replayed by psql into an empty database, whole or cut off, and what the manager makes of it. */
export const exportAndImport: Operation = {
  name: 'backup export and import',
  unavailable: psqlUnavailable,
  weight: ({ model, place }) => (model.backups.size > 0 && place.kind === 'shared' ? 4 : 0),
  run: async (world, chance) => {
    const backup = chooseBackup(world, chance);
    const lost = world.repository.lostChunks(backup.id);
    const file = join(world.directory, 'export.sql');
    rmSync(file, { force: true });
    const words = [
      'backup',
      'export',
      wordFor(world, backup, chance),
      '--format',
      'sql',
      '--output',
      file,
      ...naming(world),
    ];
    const host = world.anyEnrolled(chance);
    const outcome = await world.run(host, words, { fault: drawFault(chance, ['export'], 3_000) });
    requireExit(
      outcome,
      [lost.length === 0 ? 0 : 20],
      `backup export ${backup.id}, which misses ${lost.length} chunks,`,
    );
    const written = statSync(file, { throwIfNoEntry: false });
    require(outcome.exitCode !== 0 || written !== undefined, () => 'backup export wrote no file');
    require(outcome.exitCode !== 20 || written === undefined, () => 'backup export left a file although it failed');
    if (written === undefined) return {};
    // Killed or not: a file that is there is whole.
    require((written.mode & 0o777) === 0o600, () => `the export has mode ${(written.mode & 0o777).toString(8)}`);
    await importInto(world, chance, host, backup, readFileSync(file));
    rmSync(file);
    return {};
  },
};

async function importInto(
  world: World,
  chance: Chance,
  host: SoakHost,
  backup: ModelBackup,
  sql: Buffer,
): Promise<void> {
  const database = `${world.place.liveName}_import`;
  world.requireNoSecret('backup export', sql.toString('latin1'));
  const cut = chance.integer(1, 3) === 1;
  const script = cut ? cutOff(sql, chance) : sql;
  try {
    await world.place.withServer((server) => server.createDatabase(database));
    const replayed = await psql({ url: world.place.shared!.url(database), database }, script);
    require(cut || replayed.exitCode === 0, () => `psql did not replay the export: ${replayed.stderr}`);
    const words = ['database', 'accept-import', '--cluster-key', world.model.clusterKey!, '--older', '--yes'];
    const fault = cut ? undefined : drawFault(chance, ['import'], 3_000);
    let outcome = await world.run(host, words, { database, ...(fault && { fault }) });
    if (cut) {
      // 3: cut before the marker was made, so that there is nothing. 12: the replay has not ended.
      requireExit(outcome, [3, 12], 'accept-import of a cut export');
      world.tally.add('refused: cut export');
      return;
    }
    for (let tries = 0; outcome.interrupted && tries < 3; tries += 1) {
      await world.letLeasesExpire(database);
      outcome = await world.run(host, words, { database });
      // 3: it was finished before it was killed.
      requireExit(outcome, [0, 3, 12], 'accept-import after a kill');
    }
    requireExit(outcome, [0, 3], 'accept-import');
    await world.withDatabase(async (opened, keyring) => {
      const state = await readState(opened, keyring);
      await requireSame(backup, state, (known) => isAuditPrefix(opened.queries, known));
    }, database);
    world.tally.add('imported and compared');
  } finally {
    await world.place.withServer((server) => server.dropDatabase(database));
  }
}

function cutOff(sql: Buffer, chance: Chance): Buffer {
  const lines = sql.toString('utf8').split('\n');
  return Buffer.from(lines.slice(0, chance.integer(1, lines.length - 2)).join('\n'));
}
