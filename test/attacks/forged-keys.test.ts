import { beforeAll, describe, expect, it } from 'vitest';
import type { KeyringDocument } from '#keys/keyring.ts';
import { openRepository } from '#operations/open-repository.ts';
import { createBackup } from '#operations/create-backup.ts';
import { makeCluster } from '../fixtures/cluster.ts';
import { Attacker, edit, movedTo, parseFile, spell } from './attacker.ts';
import { expectRefused, expectRestores, Scene, setStage, type Stage } from './stage.ts';

let stage: Stage;
let attacker: Attacker;

beforeAll(async () => {
  stage = await setStage();
  attacker = new Attacker(stage);
});

function plantAll(scene: Scene, documents: readonly KeyringDocument[]): void {
  for (const { path, bytes } of documents) scene.plant(path, bytes);
}

/** What the host's hardware takes for the keyring of the scene, with what it set aside. */
async function openedIn(scene: Scene) {
  return (await openRepository(scene.store, stage.host.sealing)).keyring;
}

describe('keys of the attacker', () => {
  it('as a second generation with slots for everybody and his own node in the membership count for nothing', async () => {
    const scene = new Scene(stage, { remembers: false });
    const forged = await attacker.generation(2);
    plantAll(scene, forged);

    const keyring = await openedIn(scene);
    expect(keyring.rejected.map(({ path }) => path).toSorted()).toEqual(forged.map(({ path }) => path).toSorted());
    expect(keyring).toMatchObject({ keyGeneration: 1, epochs: [1], membership: { number: 1 } });
    expect(keyring.membership.nodes.map(({ name }) => name)).toEqual(['host-a']);
    await expectRestores(scene, stage, '--cluster-key', stage.newest.clusterKey);
    const { document } = await scene.succeed('node', 'list');
    expect(document).toMatchObject([{ name: 'host-a' }]);
    expect(JSON.stringify((await scene.succeed('keys', 'status')).document)).not.toContain('intruder');
    scene.expectPlanted();
  });

  it('in the place of every genuine document are made up for by the copies in the manifests', async () => {
    const scene = new Scene(stage, { remembers: false });
    const forged = await attacker.generation(1);
    plantAll(scene, forged);
    const genuine = new Set(stage.documents.map(({ path }) => path));
    expect(forged.filter(({ path }) => genuine.has(path)).length).toBeGreaterThanOrEqual(3);

    await expectRestores(scene, stage, '--cluster-key', stage.newest.clusterKey);
    scene.expectPlanted();
  });

  it('cannot even be found out by a host that has only those: no key of its hardware opens them', async () => {
    const scene = new Scene(stage, { remembers: false });
    scene.remove('keyring', 'backups');
    plantAll(scene, await attacker.generation(1));

    await expectRefused(
      scene,
      { exitCode: 21, code: 'no-key', message: /No key on this host opens the keyring/ },
      'restore',
      'run',
      'latest',
      '--yes',
      '--cluster-key',
      stage.newest.clusterKey,
    );
    scene.expectPlanted();
  });
});

describe('genuine documents of the keyring', () => {
  const changes: [string, (bytes: Buffer) => Buffer][] = [
    ['edited', (bytes) => edit(bytes, (payload) => ({ ...payload, hardwareIdentity: 'software:other' }))],
    ['truncated', (bytes) => bytes.subarray(0, bytes.length - 1)],
    [
      'signed by another key',
      (bytes) => attacker.resign(parseFile(bytes).type, JSON.parse(parseFile(bytes).payload) as object),
    ],
    ['of another type', (bytes) => spell({ ...parseFile(bytes), type: 'manifest' })],
    [
      'said to be of another cluster',
      (bytes) => spell({ ...parseFile(bytes), clusterId: '11111111-1111-4111-8111-111111111111' }),
    ],
    [
      'with the signature of another document',
      (bytes) => spell({ ...parseFile(bytes), signatures: parseFile(attacker.genuine(/members/).bytes).signatures }),
    ],
    ['spelled otherwise', (bytes) => Buffer.concat([bytes, Buffer.from('\n')])],
  ];

  it.each(changes)('%s count for nothing, and the copies in the manifests serve', async (_, change) => {
    const scene = new Scene(stage);
    const documents = [/epochs\/1\/.+\..+\.json$/, /nodes\//, /epoch\.json$/].map((pattern) =>
      attacker.genuine(pattern),
    );
    for (const { path, bytes } of documents) scene.plant(path, change(bytes));

    const { rejected } = await openedIn(scene);
    expect(new Set(rejected.map(({ path }) => path))).toEqual(new Set(documents.map(({ path }) => path)));
    const { document } = await scene.succeed('backup', 'verify', 'latest');
    expect(document).toMatchObject({ healed: [] });
    scene.expectPlanted();
  });

  it.each([
    ['credential', /nodes\//, 20, 'forged', /opens keyring\/nodes\/.* but the cluster did not sign that document/],
    ['epoch', /epoch\.json$/, 20, 'damaged', /epoch document of key generation 1 .* is missing/],
    ['membership', /members\//, 20, 'damaged', /holds no membership document that the cluster signed/],
  ] as const)(
    'a %s edited where no manifest has a copy stops the reading',
    async (_, pattern, exitCode, code, message) => {
      const scene = new Scene(stage);
      const { path, bytes } = attacker.genuine(pattern);
      scene.plant(
        path,
        edit(bytes, (payload) => ({ ...payload, createdAt: '2027-01-01T00:00:00.000Z', hardwareIdentity: 'x' })),
      );
      const manifest = scene.read(`backups/${stage.newest.id}.json`);
      scene.remove('backups');
      // Without its copies of the keyring it is not what the cluster signed; it is there to be asked for.
      scene.plant(
        `backups/${stage.newest.id}.json`,
        edit(manifest, (payload) => ({ ...payload, keyring: [] })),
      );

      const refusal = { exitCode, code, message };
      await expectRefused(scene, refusal, 'restore', 'run', stage.newest.id, '--yes');
      scene.expectPlanted();
    },
  );
});

describe('documents transplanted', () => {
  it('from one path to another, or from another cluster, are set aside by name', async () => {
    const other = await makeCluster();
    await createBackup(other.context, other.cluster, { kind: 'manual' });
    const scene = new Scene(stage);
    const slot = attacker.genuine(/epochs\/1\/.+\..+\.json$/);
    const foreign = other.cluster.keyring.documents;
    const moved = [
      movedTo(slot.path.replace('/1/', '/2/'), slot),
      movedTo('keyring/members/2.json', attacker.genuine(/members\/1/)),
      movedTo('keyring/epochs/7/epoch.json', attacker.genuine(/epoch\.json/)),
      movedTo(slot.path.replace(stage.keyring.nodeId, '01900000-0000-7000-8000-000000000009'), slot),
      ...foreign.filter(({ path }) => path.includes('/nodes/') || path.includes('.0')),
    ];
    expect(new Set(moved.map(({ path }) => path)).size).toBe(6);
    plantAll(scene, moved);

    const keyring = await openedIn(scene);
    expect(keyring.rejected.map(({ path }) => path).toSorted()).toEqual(moved.map(({ path }) => path).toSorted());
    expect(keyring.documents.map(({ path }) => path)).toEqual(stage.documents.map(({ path }) => path).toSorted());
    await expectRestores(scene, stage);
    scene.expectPlanted();
  });
});
