import { createHash } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { chunkObjectPath, manifestPath } from '#format/layout.ts';
import { payloadIn, parseFile, spell } from '../attacks/attacker.ts';
import { expectRefused, Scene, setStage, type Stage } from '../attacks/stage.ts';

let stage: Stage;
const run = ['restore', 'run', 'latest', '--yes'];

beforeAll(async () => {
  stage = await setStage();
});

const newer = (bytes: Buffer): Buffer => spell({ ...parseFile(bytes), formatVersion: 2 });

interface Payload {
  readonly summary: Record<string, unknown>;
  readonly objects: readonly { readonly name: string; readonly sizeBytes: number; readonly sha256: string }[];
}

/** The newest backup as a later version of the program would have written and signed it. */
function rewrite(scene: Scene, change: (payload: Payload) => Payload): void {
  const payload = payloadIn(stage.manifest) as unknown as Payload;
  scene.plant(manifestPath(stage.newest.id), stage.keyring.sign('manifest', change(payload)));
}

describe('what a newer version wrote is refused as that, and not as damage', () => {
  it.each(['credential', 'members', 'epoch', 'slot'] as const)('a %s document', async (type) => {
    const scene = new Scene(stage);
    const { path, bytes } = stage.documents.find((document) => parseFile(document.bytes).type === type)!;
    scene.plant(path, newer(bytes));
    rewrite(scene, (payload) => ({ ...payload, keyring: [] }));
    scene.remove(manifestPath(stage.older.id));

    const message = new RegExp(`The ${type} document has format version 2; this program knows 1`);
    await expectRefused(scene, { exitCode: 22, code: 'version-incompatible', message }, ...run);
    scene.expectPlanted();
  });

  it('a manifest', async () => {
    const scene = new Scene(stage);
    scene.plant(manifestPath(stage.newest.id), newer(stage.manifest));

    const refusal = { exitCode: 22, code: 'version-incompatible', message: /manifest document has format version 2/ };
    await expectRefused(scene, refusal, 'restore', 'run', stage.newest.id, '--yes');
    await expectRefused(scene, refusal, 'backup', 'verify', stage.newest.id);
    scene.expectPlanted();
  });

  it('a verification, which then proves nothing and is named', async () => {
    const scene = new Scene(stage);
    scene.remove('verifications');
    scene.plant('verifications/20990101T000000Z-aaaaaa.json', newer(stage.verifications[0]!));

    const { document, said } = await scene.succeed('backup', 'list');
    expect(document).toMatchObject([{ verified: null }, { verified: null }]);
    expect(said).toContain('The verification document has format version 2; this program knows 1');
    scene.expectPlanted();
  });

  it('a chunk', async () => {
    const scene = new Scene(stage);
    rewrite(scene, (payload) => {
      const [first, ...others] = payload.objects;
      const bytes = Buffer.from(stage.chunks.get(first!.name)!);
      bytes[4] = 2;
      const sha256 = createHash('sha256').update(bytes).digest('hex');
      const name = `${first!.name.slice(0, 64)}.${sha256.slice(0, 16)}`;
      scene.remove(chunkObjectPath(first!.name));
      scene.plant(chunkObjectPath(name), bytes);
      return { ...payload, objects: [{ ...first!, name, sha256 }, ...others] };
    });

    const refusal = { exitCode: 22, code: 'version-incompatible', message: /has format 2; this program reads 1/ };
    await expectRefused(scene, refusal, 'backup', 'verify', stage.newest.id);
    await expectRefused(scene, refusal, ...run);
    scene.expectPlanted();
  });

  it('a schema', async () => {
    const scene = new Scene(stage);
    rewrite(scene, (payload) => ({
      ...payload,
      summary: { ...payload.summary, schemaVersion: 99, productVersion: '9.9.9' },
    }));

    const refusal = { exitCode: 22, code: 'version-incompatible', message: /9\.9\.9/ };
    await expectRefused(scene, refusal, ...run);
    scene.expectPlanted();
  });
});
