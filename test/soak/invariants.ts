import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { manifestPath } from '#format/layout.ts';
import { beforePrefix, stagingPrefix } from '#model/restore-names.ts';
import type { Catalog } from '#operations/read-catalog.ts';
import { processesUsing } from './processes.ts';
import { differences, isAuditPrefix, type State } from './state.ts';
import { require, Violation } from './violation.ts';
import type { World } from './world.ts';

/** What an operation may have changed; everything else must be as it was. */
export interface Expectation {
  /** States that the live database may have now, besides the one it had. */
  readonly live?: readonly State[];
  /** The one it had is none of them: the operation said that it was done. */
  readonly liveChanged?: boolean;
  /** States that a backup which is new in the list may hold; the live one unless given. */
  readonly backups?: readonly State[];
  /** Backups that may be gone. */
  readonly gone?: readonly string[];
}

/** The promises, held against database, repository and machine. Brings the model up to what was found. */
export async function checkPromises(world: World, expected: Expectation = {}): Promise<void> {
  const before = world.model.live;
  await checkLive(world, expected);
  await checkReplaced(world, [before, ...(expected.live ?? [])]);
  await checkCatalog(world, expected, before);
  await checkMachine(world);
}

/** Restored exactly, or as it was: nothing in between, and never gone. */
async function checkLive(world: World, expected: Expectation): Promise<void> {
  const { model } = world;
  const found = await world.stateOf(world.place.liveName);
  const candidates = [
    ...(expected.liveChanged === true || model.live === undefined ? [] : [model.live]),
    ...(expected.live ?? []),
  ];
  if (found === undefined) {
    require(model.live === undefined && expected.liveChanged !== true, () => 'the live database is gone');
    return;
  }
  const reasons: string[] = [];
  for (const candidate of candidates) {
    const isOld = candidate === model.live;
    if (isOld !== (found.incarnation === model.live?.incarnation)) continue;
    const fault = await whyDifferent(world, candidate, found);
    if (fault === undefined) {
      model.live = found;
      return;
    }
    reasons.push(fault);
  }
  throw new Violation(`the live database is none of what it may be:\n${reasons.join('\nor ')}`);
}

async function whyDifferent(world: World, wanted: State, found: State): Promise<string | undefined> {
  const [first] = differences(wanted, found);
  if (first !== undefined) return first;
  const included = await world.withDatabase(({ queries }) => isAuditPrefix(queries, wanted.audit));
  return included ? undefined : `its audit log does not go on from event ${wanted.audit.position}`;
}

/** The replaced database is kept whole until cleanup; a half-built one is not kept. */
async function checkReplaced(world: World, served: readonly (State | undefined)[]): Promise<void> {
  const { model, place } = world;
  if (place.kind === 'embedded' && model.live === undefined) return;
  const [replaced, staging] = await place.withServer((server) =>
    Promise.all([
      server.databaseNames(beforePrefix(server.liveName)),
      server.databaseNames(stagingPrefix(server.liveName)),
    ]),
  );
  for (const name of model.replaced.keys()) {
    if (replaced.includes(name)) continue;
    require(model.doomed.has(name), () => `the replaced database ${name} is gone, and nobody cleaned up`);
    model.replaced.delete(name);
  }
  for (const name of replaced.filter((each) => !model.replaced.has(each))) {
    const found = await world.stateOf(name);
    require(found !== undefined, () => `the replaced database ${name} holds no cluster`);
    const reasons = served.map((state) => state && differences(state, found)[0]);
    const isOne = served.some((state, index) => state !== undefined && reasons[index] === undefined);
    require(isOne, () => `the replaced database ${name} is not what served before: ${reasons.join('; or ')}`);
    model.replaced.set(name, found);
  }
  if (staging.length > 0) require(world.mayHaveStaging, () => `a half-built database was left: ${staging.join(', ')}`);
}

async function checkCatalog(world: World, expected: Expectation, before: State | undefined): Promise<void> {
  const { model, repository } = world;
  const { catalog, keyring } = await world.readCatalog();
  model.clusterKey = keyring.fingerprint;
  const listed = new Set(catalog.backups.map(({ entry }) => entry.id));
  for (const id of model.backups.keys()) {
    require(listed.has(id) || expected.gone?.includes(id) === true, () => `backup ${id} is no longer listed`);
    if (!listed.has(id)) model.backups.delete(id);
  }
  const states = expected.backups ?? [before, model.live].filter((state) => state !== undefined);
  const sequences = new Map<number, string>();
  for (const { entry } of catalog.backups) {
    require(entry.authentic === true, () => `backup ${entry.id} is listed but not authentic`);
    const other = sequences.get(entry.sequence);
    require(other === undefined, () => `backups ${entry.id} and ${other} both have sequence ${entry.sequence}`);
    sequences.set(entry.sequence, entry.id);
    if (model.backups.has(entry.id)) continue;
    require(states.length > 0, () => `backup ${entry.id} appeared while there was nothing to back up`);
    const { id, kind, sequence, epochs } = entry;
    model.backups.set(id, { id, kind, sequence, epochs, states });
    world.tally.add(`backup listed: ${kind}`);
  }
  const disowned = new Set([...model.disowned].map(manifestPath));
  const rejected = catalog.rejected.filter(({ path }) => !disowned.has(path));
  require(rejected.length === 0, () => `the repository holds ${JSON.stringify(rejected)}`);
  checkVerified(world, catalog);
  for (const chunk of model.foundLost) {
    if (repository.chunkObjects().some((name) => name.startsWith(`${chunk}.`) && !repository.isDamaged(name)))
      model.foundLost.delete(chunk);
  }
}

/** What a verification found lost is never shown as verified while it is lost. */
function checkVerified(world: World, catalog: Catalog): void {
  const { model, repository } = world;
  for (const { entry } of catalog.backups) {
    const lost = repository.lostChunks(entry.id).filter((chunk) => model.foundLost.has(chunk));
    require(lost.length === 0 || entry.verified === null, () =>
      `backup ${entry.id} is shown as verified (${JSON.stringify(entry.verified)}), but chunk ${lost[0]} was found lost`);
  }
}

/** No process, no temporary file. What a killed process left the next of its kind removes. */
async function checkMachine(world: World): Promise<void> {
  for (let waitedMs = 0; ; waitedMs += 100) {
    const left = processesUsing(world.directory).filter(({ pid }) => !isServing(world, pid));
    if (left.length === 0) break;
    require(waitedMs < 15_000, () => `processes were left: ${JSON.stringify(left)}`);
    await sleep(100);
  }
  if (world.mayHaveScratch) return;
  const temporary = readdirSync(world.temporary);
  require(temporary.length === 0, () => `temporary files were left: ${temporary.join(', ')}`);
  for (const { dataDirectory } of world.hosts) {
    const scratch = join(dataDirectory, 'scratch');
    const left = existsSync(scratch) ? readdirSync(scratch) : [];
    require(left.length === 0, () => `scratch databases were left: ${left.join(', ')}`);
  }
}

/** A running manager, and in the embedded place its database. */
function isServing(world: World, pid: number): boolean {
  const serving = world.hosts.flatMap((host) => (host.serving === undefined ? [] : [host.serving.pid]));
  return serving.includes(pid) || (world.place.kind === 'embedded' && serving.length > 0);
}
