import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { KeyringDocument } from '#keys/keyring.ts';
import { keyringPath } from '#keys/keyring-paths.ts';
import type { MemberNode, MembersPayload } from '#keys/payloads.ts';
import { createBackup, type BackupResult } from '#operations/create-backup.ts';
import { openCluster, openOrCreateCluster } from '#operations/open-cluster.ts';
import { openRepository, readKeyringDocuments } from '#operations/open-repository.ts';
import { rotateKeys } from '#operations/rotate-keys.ts';
import { tendKeys } from '#operations/tend-keys.ts';
import { dumpDatabase } from '../fixtures/dump.ts';
import { makeContext, makeHost, temporaryDirectory, type TestHost } from '../fixtures/host.ts';
import { enrolHosts, withCluster } from '../fixtures/hosts.ts';
import { addUsers } from '../fixtures/rows.ts';
import { movedTo, payloadIn } from './attacker.ts';
import { expectRefused, Scene } from './stage.ts';

/** A cluster of two hosts whose keys were changed once: two epochs, a slot in each for each host, two credentials of each. */
interface Pair {
  readonly a: TestHost;
  readonly b: TestHost;
  readonly backup: BackupResult;
  readonly documents: readonly KeyringDocument[];
  readonly rows: Readonly<Record<string, string[]>>;
  /** The first host's credential as it was before the keys were changed. */
  readonly oldCredential: KeyringDocument;
}

async function makePair(hardwareOf?: Pair): Promise<Pair> {
  const context = makeContext();
  const a = await makeHost({ directory: hostDirectory(hardwareOf?.a) });
  const { cluster: created } = await openOrCreateCluster(context, a);
  await addUsers(created.database, 5);
  const [b] = await enrolHosts(a, ['host-b']);
  const oldCredential = created.keyring.documents.find(({ path }) => path.includes('/nodes/'))!;
  await created.database.close();
  const before = await openCluster(context, a);
  await rotateKeys(context, a, before);
  await before.database.close();
  for (const host of [b!, a]) {
    await withCluster(host, async (cluster) => {
      await tendKeys(context, host, cluster);
    });
  }
  const cluster = await openCluster(context, a);
  try {
    const backup = await createBackup(context, cluster, { kind: 'manual' });
    const documents = await readKeyringDocuments(a.store);
    return { a, b: b!, backup, documents, rows: await dumpDatabase(cluster.database), oldCredential };
  } finally {
    await cluster.database.close();
  }
}

function hostDirectory(hardware?: TestHost): string {
  const directory = temporaryDirectory();
  if (hardware !== undefined) cpSync(join(hardware.directory, 'keys'), join(directory, 'keys'), { recursive: true });
  return directory;
}

let pair: Pair;

beforeAll(async () => {
  pair = await makePair();
}, 240_000);

/** The repository before one of the two hosts, of which nothing else is left; without backups no copy of the keyring is left either. */
function sceneOf(host: TestHost, { backups = true } = {}): Scene {
  const directory = temporaryDirectory();
  cpSync(join(host.directory, 'keys'), join(directory, 'keys'), { recursive: true });
  cpSync(join(pair.a.directory, 'backups'), join(directory, 'backups'), { recursive: true });
  const scene = new Scene({ host: { directory } }, { remembers: false });
  if (!backups) scene.remove('backups');
  return scene;
}

/** What the newest membership says of a host. */
function memberOf({ node }: TestHost): MemberNode {
  const members = pair.documents
    .filter(({ path }) => path.includes('/members/'))
    .map(({ bytes }) => payloadIn(bytes) as unknown as MembersPayload);
  const [newest] = members.toSorted((one, other) => other.number - one.number);
  return newest!.nodes.find(({ name }) => name === node.name)!;
}

const genuine = (path: string): KeyringDocument => pair.documents.find((document) => document.path === path)!;
const slotOf = (host: TestHost, epoch: number): KeyringDocument =>
  genuine(keyringPath({ type: 'slot', epoch, ...memberOf(host) }));
const credentialOf = (host: TestHost): KeyringDocument =>
  genuine(keyringPath({ type: 'credential', ...memberOf(host) }));

const swapped = (one: KeyringDocument, other: KeyringDocument): KeyringDocument[] => [
  movedTo(one.path, other),
  movedTo(other.path, one),
];

const plantAll = (scene: Scene, documents: readonly KeyringDocument[]): void => {
  for (const { path, bytes } of documents) scene.plant(path, bytes);
};

const restoring = (): string[] => ['restore', 'run', pair.backup.id, '--yes', '--cluster-key', pair.backup.clusterKey];

async function expectAllBack(scene: Scene): Promise<void> {
  const { document } = await scene.succeed(...restoring());
  expect(document).toMatchObject({ backupId: pair.backup.id });
  expect(await scene.rows()).toMatchObject({ users: pair.rows['users'] });
}

describe('slots transplanted', () => {
  const transplants: [string, () => KeyringDocument[]][] = [
    ['between two nodes', () => swapped(slotOf(pair.a, 2), slotOf(pair.b, 2))],
    ['between two epochs', () => swapped(slotOf(pair.a, 1), slotOf(pair.a, 2))],
  ];

  it.each(transplants)('%s are set aside, and the copies in the manifests serve', async (_, make) => {
    const scene = sceneOf(pair.a);
    const moved = make();
    plantAll(scene, moved);
    const { keyring } = await openRepository(scene.store, pair.a.sealing);
    expect(keyring.rejected.map(({ path }) => path).toSorted()).toEqual(moved.map(({ path }) => path).toSorted());
    await expectAllBack(scene);
    scene.expectPlanted();
  });

  it.each(transplants)('%s open nothing where no manifest has a copy', async (_, make) => {
    const scene = sceneOf(pair.a, { backups: false });
    scene.remove(pair.oldCredential.path);
    plantAll(scene, make());
    const { keyring } = await openRepository(scene.store, pair.a.sealing);
    expect(() => keyring.currentEpoch).toThrow(expect.objectContaining({ code: 'no-key', exitCode: 21 }));
    scene.expectPlanted();
  });

  it('do not give a host the place of another, with its credential neither', async () => {
    const scene = sceneOf(pair.b, { backups: false });
    const [from, to] = [memberOf(pair.b), memberOf(pair.a)];
    const own = pair.documents.filter(({ path }) => path.includes(from.nodeId));
    expect(own.length).toBeGreaterThanOrEqual(6);
    scene.remove(...own.map(({ path }) => path));
    const place = (path: string): string =>
      path.replace(from.nodeId, to.nodeId).replace(from.credentialId, to.credentialId);
    plantAll(
      scene,
      [credentialOf(pair.b), slotOf(pair.b, 1), slotOf(pair.b, 2)].map((each) => movedTo(place(each.path), each)),
    );
    const refusal = { exitCode: 21, code: 'no-key', message: /No key on this host opens the keyring of cluster/ };
    await expectRefused(scene, refusal, ...restoring());
    scene.expectPlanted();
  });
});

describe('credentials transplanted', () => {
  it('from before a change of keys, in the place of the newer one, do not bring the older keys back', async () => {
    const scene = sceneOf(pair.a);
    const path = credentialOf(pair.a).path;
    expect(path).not.toBe(pair.oldCredential.path);
    scene.plant(path, pair.oldCredential.bytes);

    const { keyring } = await openRepository(scene.store, pair.a.sealing);
    expect(keyring).toMatchObject({ keyGeneration: 2, sealedGeneration: 2, fingerprint: pair.backup.clusterKey });
    await expectAllBack(scene);
    scene.expectPlanted();
  });

  it('from before a change of keys are not taken for the newer ones that were taken away', async () => {
    const scene = sceneOf(pair.a);
    const newer = [credentialOf(pair.a), slotOf(pair.a, 1), slotOf(pair.a, 2)].map(({ path }) => path);
    scene.remove(...newer);
    expect(scene.read(pair.oldCredential.path).equals(pair.oldCredential.bytes)).toBe(true);

    const { keyring } = await openRepository(scene.store, pair.a.sealing);
    expect(keyring).toMatchObject({ credentialId: memberOf(pair.a).credentialId, isMember: true, sealedGeneration: 2 });
    await expectAllBack(scene);
  });

  it('from another cluster on the same hardware, with its slots, are set aside where the marker says whose it is, and stop where it is lost', async () => {
    const other = await makePair(pair);
    const foreign = other.documents.filter(({ path }) => path.includes('/nodes/') || path.includes('.0'));
    expect(foreign.length).toBeGreaterThanOrEqual(6);
    const marked = sceneOf(pair.a);
    plantAll(marked, foreign);
    await expectAllBack(marked);
    // Neither stops the host once it has the database, though it remembers nothing.
    rmSync(join(marked.dataDirectory, 'state'), { recursive: true });
    expect((await marked.succeed('keys', 'status')).document).toMatchObject({ clusterKey: pair.backup.clusterKey });
    marked.expectPlanted();

    const scene = sceneOf(pair.a);
    plantAll(scene, foreign);
    scene.remove('enclave-manager.json');
    const refusal = { exitCode: 12, code: 'repository-foreign', message: /credentials of several clusters/ };
    await expectRefused(scene, refusal, ...restoring());
    scene.expectPlanted();
  });
});
