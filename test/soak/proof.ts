import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { beforePrefix } from '#model/restore-names.ts';
import type { Chance } from '../../demo/contents/chance.ts';
import { embeddedPlace } from './database-place.ts';
import type { ModelBackup } from './model.ts';
import { differences, isAuditPrefix, readState, type State } from './state.ts';
import { require } from './violation.ts';
import { requireExit, secretMark, type World } from './world.ts';

/** A restore renews the incarnation and appends what it did to the audit log; nothing else. */
const mostEventsOfRestore = 4;

/** Restores a backup for real, beside everything else, and compares every row with what the model knows. */
export async function proveBackup(world: World, backup: ModelBackup, chance: Chance): Promise<void> {
  const beside = world.place.kind === 'shared' ? besideOnServer(world) : besideOnEmptyMachine(world);
  const host = world.anyEnrolled(chance);
  const words = ['restore', 'run', backup.id, '--yes', '--cluster-key', world.model.clusterKey!];
  const lost = world.repository.lostChunks(backup.id);
  try {
    const outcome = await world.run({ ...host, ...beside.host }, words, { database: beside.database });
    requireExit(
      outcome,
      [lost.length === 0 ? 0 : 20],
      `a restore of ${backup.id}, which misses ${lost.length} chunks,`,
    );
    if (lost.length > 0) lost.forEach((chunk) => world.model.foundLost.add(chunk));
    else await beside.read((found, prefix) => requireSame(backup, found, prefix));
  } finally {
    await beside.remove();
  }
  world.tally.add(lost.length === 0 ? 'restored and compared' : 'refused as lost');
}

type Prefix = (known: State['audit']) => Promise<boolean>;

/** Exactly what the backup was taken of, but for what bringing it back renews and appends. */
export async function requireSame(backup: ModelBackup, found: State | undefined, includes: Prefix): Promise<void> {
  require(found !== undefined, () => `what came of ${backup.id} holds no cluster`);
  const reasons: string[] = [];
  for (const state of backup.states) {
    const [first] = differences(state, found);
    const added = found.audit.position - state.audit.position;
    if (first !== undefined) reasons.push(first);
    else if (added < 1 || added > mostEventsOfRestore) reasons.push(`${added} audit events more than in the backup`);
    else if (!(await includes(state.audit))) reasons.push('another audit log');
    else return;
  }
  require(false, () => `backup ${backup.id} does not restore to what it was taken of: ${reasons.join('; or ')}`);
}

interface Beside {
  readonly database: string;
  readonly host: { readonly dataDirectory?: string };
  read(work: (state: State | undefined, includes: Prefix) => Promise<void>): Promise<void>;
  remove(): Promise<void>;
}

function besideOnServer(world: World): Beside {
  const database = `${world.place.liveName}_beside`;
  return {
    database,
    host: {},
    read: (work) => world.withDatabase((opened, keyring) => readAndCompare(opened, keyring, work), database),
    remove: () =>
      world.place.withServer(async (server) => {
        const replaced = await server.databaseNames(beforePrefix(database));
        for (const name of [database, ...replaced]) await server.dropDatabase(name);
      }, database),
  };
}

function besideOnEmptyMachine(world: World): Beside {
  const dataDirectory = join(world.directory, 'beside');
  const place = embeddedPlace(dataDirectory);
  return {
    database: place.liveName,
    host: { dataDirectory },
    read: async (work) => {
      const { keyring } = await world.readCatalog();
      await place.withServer(async (server) => {
        const database = server.open(server.liveName, { connections: 2 });
        try {
          await readAndCompare(database, keyring, work);
        } finally {
          await database.close();
        }
      });
    },
    remove: async () => rmSync(dataDirectory, { recursive: true, force: true }),
  };
}

async function readAndCompare(
  database: Parameters<typeof readState>[0],
  keyring: Parameters<typeof readState>[1],
  work: (state: State | undefined, includes: Prefix) => Promise<void>,
): Promise<void> {
  const state = await readState(database, keyring);
  await work(state, (known) => isAuditPrefix(database.queries, known));
}

/** What lies in the bucket shows none of the secrets that were written. */
export function requireSealed(world: World): void {
  const { directory } = world.repository;
  if (!existsSync(directory)) return;
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const bytes = readFileSync(join(entry.parentPath, entry.name));
    require(!bytes.includes(secretMark), () => `${join(entry.parentPath, entry.name)} shows a secret`);
  }
}
