import { createHash } from 'node:crypto';
import { cpSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { chunkId, sealChunk } from '#format/chunk.ts';
import { chunkObjectPath, manifestPath } from '#format/layout.ts';
import { readManifestSummary } from '#format/manifest.ts';
import { deriveEpochKeys } from '#keys/epoch-keys.ts';
import { systemRandomness } from '#adapters/system/randomness.ts';
import { createBackup } from '#operations/create-backup.ts';
import { makeCluster } from '../fixtures/cluster.ts';
import { objectFile } from '../fixtures/repository.ts';
import { Attacker, edit, parseFile, payloadIn, spell } from './attacker.ts';
import { expectRefused, expectRestores, Scene, setStage, type Stage } from './stage.ts';

let stage: Stage;
let attacker: Attacker;

beforeAll(async () => {
  stage = await setStage();
  attacker = new Attacker(stage);
});

const planted = '20990101T000000Z-aaaaaa';
const manifestOf = (scene: Scene, id: string): Buffer => scene.read(manifestPath(id));
/** A payload that says it is a newer backup. */
const newer = ({ summary, ...rest }: Record<string, unknown>, id: string): object => ({
  ...rest,
  summary: { ...(summary as object), id, sequence: 99 },
});

/** What an attacker puts in the place of a newer backup, and why it is refused when it is asked for by name. */
const forgeries: [string, (scene: Scene, id: string) => Buffer, { exitCode: number; code: string; message: RegExp }][] =
  [
    [
      'edited to be newer',
      (scene, id) => edit(manifestOf(scene, stage.newest.id), (payload) => newer(payload, id)),
      { exitCode: 20, code: 'forged', message: /signature that the cluster key sha256:\S+ did not make/ },
    ],
    [
      'edited and signed by a key of his own',
      (scene, id) => attacker.resign('manifest', newer(payloadIn(manifestOf(scene, stage.newest.id)), id)),
      { exitCode: 20, code: 'forged', message: /signature that the cluster key sha256:\S+ did not make/ },
    ],
    [
      'signed by a generation of his own',
      (scene) => attacker.resign('manifest', payloadIn(manifestOf(scene, stage.newest.id)), 2),
      { exitCode: 20, code: 'forged', message: /signed by key generation 2, which the keyring does not lead to/ },
    ],
    [
      'cut short',
      (scene) => manifestOf(scene, stage.newest.id).subarray(0, 5000),
      { exitCode: 20, code: 'damaged', message: /is not JSON in UTF-8/ },
    ],
    ['empty', () => Buffer.alloc(0), { exitCode: 20, code: 'damaged', message: /is not JSON in UTF-8/ }],
    [
      'an older one replayed under a new name',
      (scene) => manifestOf(scene, stage.older.id),
      { exitCode: 20, code: 'forged', message: /the manifest inside is of backup / },
    ],
    [
      'a slot of the keyring in its place',
      () => attacker.genuine(/epochs\/1\/.+\..+\.json$/).bytes,
      { exitCode: 20, code: 'damaged', message: /The manifest document is of type "slot"/ },
    ],
    [
      'a slot that calls itself a manifest',
      () => spell({ ...parseFile(attacker.genuine(/epochs\/1\/.+\..+\.json$/).bytes), type: 'manifest' }),
      { exitCode: 20, code: 'forged', message: /signature that the cluster key sha256:\S+ did not make/ },
    ],
    [
      'with two signatures',
      (scene) => {
        const file = parseFile(manifestOf(scene, stage.newest.id));
        const [own] = file.signatures;
        return spell({ ...file, signatures: [own!, { ...own!, keyGeneration: 2 }] });
      },
      { exitCode: 20, code: 'forged', message: /carries more than one signature/ },
    ],
    [
      'of a format that does not exist yet',
      (scene) => spell({ ...parseFile(manifestOf(scene, stage.newest.id)), formatVersion: 2 }),
      { exitCode: 22, code: 'version-incompatible', message: /has format version 2; this program knows 1/ },
    ],
  ];

describe('a manifest', () => {
  const idOf = (index: number): string => `20990101T0000${String(index).padStart(2, '0')}Z-aaaaaa`;
  let all: Scene;

  beforeAll(() => {
    all = new Scene(stage);
    for (const [index, [, forge]] of forgeries.entries()) all.plant(manifestPath(idOf(index)), forge(all, idOf(index)));
  });

  it('that the cluster did not sign is not listed, is named as what it is, and is never the latest', async () => {
    const { document, said } = await all.succeed('backup', 'list');
    expect(document).toMatchObject([{ id: stage.newest.id }, { id: stage.older.id }]);
    for (const index of forgeries.keys())
      expect(said).toContain(`backups/${idOf(index)}.json is no backup of this cluster`);
    expect((await all.succeed('restore', 'plan', 'latest')).document).toMatchObject({
      backup: { id: stage.newest.id },
      newestSequence: 2,
    });
    all.expectPlanted();
  });

  it.each(forgeries.map(([what, , refusal], index) => ({ what, refusal, index })))(
    '$what is refused when it is asked for by name',
    async ({ refusal, index }) => {
      await expectRefused(all, refusal, 'restore', 'run', idOf(index), '--yes');
      all.expectPlanted();
    },
  );

  it('of another cluster is one of another cluster', async () => {
    const other = await makeCluster();
    const { id } = await createBackup(other.context, other.cluster, { kind: 'manual' });
    const scene = new Scene(stage);
    cpSync(objectFile(other.host, 'chunks'), scene.file('chunks'), { recursive: true });
    scene.plant(
      manifestPath(id),
      await other.host.store.get(manifestPath(id), { maxBytes: 1e8 }).then((bytes) => bytes!),
    );

    const message = new RegExp(`belongs to cluster ${other.cluster.keyring.clusterId}, not to ${attacker.clusterId}`);
    await expectRefused(scene, { exitCode: 20, code: 'forged', message }, 'restore', 'run', id, '--yes');
    await expectRestores(scene, stage);
    scene.expectPlanted();
  });
});

describe('a chunk', () => {
  it.each([
    [
      'sealed under keys of his own',
      (name: string) => {
        const keys = deriveEpochKeys(attacker.rootKey, attacker.clusterId, 1);
        return sealChunk(keys, name.slice(0, 64), Buffer.from('1\tmallory\n'), systemRandomness).bytes;
      },
    ],
    [
      'of another id of the same backup',
      (name: string) => {
        const { objects } = readManifestSummary(stage.manifest);
        const index = objects.findIndex((object) => object.name === name);
        return stage.chunks.get(objects[(index + 1) % objects.length]!.name)!;
      },
    ],
    ['with another epoch in its header', (_: string, genuine: Buffer) => changed(genuine, 11, 7)],
    ['with another nonce', (_: string, genuine: Buffer) => changed(genuine, 12, genuine[12]! ^ 1)],
  ])('%s is never loaded', async (_, make) => {
    const scene = new Scene(stage);
    replaceAll(scene, make);

    const { exitCode, code, message } = await scene.fail('restore', 'run', 'latest', '--yes');
    expect({ exitCode, code }).toEqual({ exitCode: 20, code: 'damaged' });
    expect(message).toMatch(/chunk object [0-9a-f]{64}\.[0-9a-f]{16} (has other bytes|has \d+ bytes instead of)/);
    expect(await scene.rows()).toBeUndefined();
    scene.expectPlanted();
  });

  it('under a genuine id beside the genuine object is not chosen when that one is lost', async () => {
    const scene = new Scene(stage);
    const { objects } = readManifestSummary(manifestOf(scene, stage.newest.id));
    const keys = deriveEpochKeys(attacker.rootKey, attacker.clusterId, 1);
    for (const { name } of objects) {
      const sealed = sealChunk(keys, name.slice(0, 64), Buffer.from('1\tmallory\n'), systemRandomness);
      scene.plant(chunkObjectPath(sealed.objectName), sealed.bytes);
    }
    await expectRestores(scene, stage);
    const lost = objects[0]!.name;
    scene.remove(chunkObjectPath(lost));
    const again = await scene.fail('backup', 'verify', stage.newest.id);
    expect(again).toMatchObject({ exitCode: 20, code: 'damaged', message: expect.stringContaining(lost) });
    scene.expectPlanted();
  });

  it('has an id that nobody without the keys can make', () => {
    const rows = Buffer.from('1\tmallory\n');
    const own = chunkId(deriveEpochKeys(attacker.rootKey, attacker.clusterId, 1), rows);
    expect(own).not.toBe(chunkId(stage.keyring.currentEpoch, rows));
    expect(own).not.toBe(createHash('sha256').update(rows).digest('hex'));
  });
});

describe('a verification', () => {
  it.each([
    ['signed by a key of his own', (payload: object) => attacker.resign('verification', payload)],
    ['of a manifest re-typed', () => spell({ ...parseFile(stage.manifest), type: 'verification' })],
  ])('%s proves nothing', async (_, forge) => {
    const scene = new Scene(stage);
    scene.remove('verifications');
    scene.plant(
      `verifications/${planted}.json`,
      forge({
        verificationId: planted,
        backups: [stage.newest.id],
        level: 'restored',
        at: '2099-01-01T00:00:00.000Z',
        nodeId: stage.keyring.nodeId,
        passed: true,
        objects: null,
        bad: [],
        drill: { durationMs: 1 },
      }),
    );

    const { document, said } = await scene.succeed('backup', 'list');
    expect(document).toMatchObject([
      { id: stage.newest.id, verified: null, lastDrill: null },
      { id: stage.older.id, verified: null },
    ]);
    expect(said).toContain(`verifications/${planted}.json`);
    scene.expectPlanted();
  });

  it('that says a good backup is bad makes the next one store it anew, and nothing else', async () => {
    const scene = new Scene(stage);
    const [verification] = stage.verifications;
    scene.plant(
      `verifications/${planted}.json`,
      edit(verification!, (payload) => ({ ...payload, verificationId: planted, passed: false })),
    );
    expect((await scene.succeed('backup', 'list')).said).toContain(`verifications/${planted}.json`);
    await expectRestores(scene, stage);
    scene.expectPlanted();
  });
});

/** Every object of the newest backup replaced, so that whatever is read first is the attacker's. */
function replaceAll(scene: Scene, make: (name: string, genuine: Buffer) => Buffer): void {
  const { objects } = readManifestSummary(manifestOf(scene, stage.newest.id));
  for (const { name } of objects) {
    const key = chunkObjectPath(name);
    scene.plant(key, make(name, scene.read(key)));
  }
}

function changed(bytes: Buffer, offset: number, value: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[offset] = value;
  return copy;
}
