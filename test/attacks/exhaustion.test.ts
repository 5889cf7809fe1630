import { execFileSync } from 'node:child_process';
import { createCipheriv } from 'node:crypto';
import { cpSync, mkdirSync, renameSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { constants, zstdCompressSync } from 'node:zlib';
import { beforeAll, describe, expect, it } from 'vitest';
import { manifestPath } from '#format/layout.ts';
import { openChunk } from '#format/chunk.ts';
import { readManifestSummary } from '#format/manifest.ts';
import { openDetails } from '#format/manifest-details.ts';
import { nonceBytes, sealBytes } from '#keys/aead.ts';
import { maxKeyringDocuments } from '#keys/keyring-entry.ts';
import { parseKeyringPath } from '#keys/keyring-paths.ts';
import { encodeFields } from '#keys/pae.ts';
import { openCluster } from '#operations/open-cluster.ts';
import { openRepository } from '#operations/open-repository.ts';
import { restore } from '#operations/restore.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import { runCommand } from '../fixtures/command.ts';
import { makeContext, makeHost, temporaryDirectory } from '../fixtures/host.ts';
import { freshDatabaseName } from '../fixtures/postgresql.ts';
import { storeWith } from '../fixtures/repository.ts';
import { confirmed } from '../fixtures/restoring.ts';
import { Attacker, edit, parseFile, spell } from './attacker.ts';
import { expectRestores, Scene, setStage, type Stage } from './stage.ts';

let stage: Stage;
const MiB = 1024 * 1024;
/** A heap that is small for Node and ample for the repository of these tests. */
const smallHeap = { NODE_OPTIONS: '--max-old-space-size=256' };

beforeAll(async () => {
  stage = await setStage();
});

/** What a few megabytes of text become when they are built. */
const bombs: [string, () => Buffer][] = [
  ['millions of empty objects', () => Buffer.from(`[${'{},'.repeat(12 * MiB)}{}]`)],
  ['millions of open brackets', () => Buffer.from('['.repeat(40 * MiB))],
  [
    'a payload of millions of empty objects',
    () => spell({ ...parseFile(stage.manifest), payload: `[${'{},'.repeat(12 * MiB)}{}]` }),
  ],
  [
    'a payload with far more entries than a manifest may have',
    () => {
      const { payload, ...file } = parseFile(stage.manifest);
      const objects = `[${'{},'.repeat(1_500_000)}{}]`;
      return spell({ ...file, payload: payload.replace(/"objects":\[.*?\]/, () => `"objects":${objects}`) });
    },
  ],
];

describe('an object that is small on the disk and fills the heap when it is built', () => {
  it.each(bombs)('%s is set aside, with a key and without', async (_, make) => {
    const key = manifestPath('20990101T000000Z-aaaaaa');
    const scene = new Scene(stage);
    scene.plant(key, make());
    scene.plant('keyring/epochs/2/epoch.json', make().subarray(0, 32 * MiB));

    const { document, said } = await scene.succeedWith(smallHeap, 'backup', 'list');
    expect(document).toMatchObject([{ id: stage.newest.id, authentic: true }, { id: stage.older.id }]);
    expect(said).toContain(key);
    rmSync(join(scene.dataDirectory, 'keys'), { recursive: true });
    rmSync(join(scene.dataDirectory, 'state'), { recursive: true });
    const stranger = await scene.succeedWith(smallHeap, 'backup', 'list');
    expect(stranger.document).toMatchObject([{ id: stage.newest.id, authentic: 'unknown' }, { id: stage.older.id }]);
    scene.expectPlanted();
  });

  it('would end the process if it were built: JSON.parse does', () => {
    const file = join(temporaryDirectory(), 'bomb.json');
    writeFileSync(file, bombs[0]![1]());
    const parse = `JSON.parse(require('node:fs').readFileSync(${JSON.stringify(file)}, 'utf8'))`;
    const run = () =>
      execFileSync(process.execPath, ['-e', parse], { stdio: 'pipe', env: { ...process.env, ...smallHeap } });
    expect(run).toThrow(/heap out of memory/);
  });
});

describe('manifests that carry more keyring than fits into memory', () => {
  const epochBytes = 30 * MiB;
  const planted = Array.from({ length: 7 }, (_, index) => manifestPath(`20990101T0000${10 + index}Z-aaaaaa`));

  /** The host cannot open its epoch from `keyring/` alone, and seven unsigned manifests have something to offer. */
  function plantedScene(): Scene {
    const scene = new Scene(stage);
    scene.remove(...stage.documents.map(({ path }) => path).filter((path) => parseKeyringPath(path)?.type === 'slot'));
    for (const [index, key] of planted.entries()) {
      const bytes = Buffer.alloc(epochBytes, index + 1).toString('base64');
      const keyring = [{ path: `keyring/epochs/${index + 2}/epoch.json`, bytes }];
      scene.plant(
        key,
        edit(stage.manifest, (payload) => ({ ...payload, keyring })),
      );
    }
    return scene;
  }

  it('are passed over where a genuine one carries what is missing', async () => {
    const scene = plantedScene();
    const { document, said } = await scene.succeedWith(smallHeap, 'backup', 'list');
    expect(document).toMatchObject([{ id: stage.newest.id, authentic: true }, { id: stage.older.id }]);
    expect(said).toContain(planted[0]);
    scene.expectPlanted();
  });

  it('end in a typed error where none does', async () => {
    const scene = plantedScene();
    scene.remove(manifestPath(stage.newest.id), manifestPath(stage.older.id));
    const env = { ...(await scene.environment()), ...smallHeap };
    const ended = await runCommand(['backup', 'verify', 'latest', '--json'], {
      dataDirectory: scene.dataDirectory,
      env,
    });
    expect(ended.exitCode, ended.stderr.slice(-2000)).toBe(3);
    expect(JSON.parse(ended.stdout)).toMatchObject({ error: { code: 'not-found' } });
    for (const key of planted) expect(ended.stderr).toContain(key);
    scene.expectPlanted();
  });
});

describe('objects larger than any genuine one', () => {
  it('are not read: manifest, keyring, marker, verification and chunk of ten gigabytes', async () => {
    const scene = new Scene(stage);
    const { objects } = readManifestSummary(stage.manifest);
    const [credential] = stage.documents.map(({ path }) => path).filter((path) => path.startsWith('keyring/nodes/'));
    const keys = [
      manifestPath('20990101T000000Z-aaaaaa'),
      credential!,
      'keyring/members/2.json',
      'enclave-manager.json',
      'verifications/20990101T000000Z-aaaaaa.json',
      `chunks/00/${'0'.repeat(64)}.${'0'.repeat(16)}`,
      `chunks/${objects[0]!.name.slice(0, 2)}/${objects[0]!.name.slice(0, 64)}.${'f'.repeat(16)}`,
    ];
    for (const key of keys) {
      mkdirSync(dirname(scene.file(key)), { recursive: true });
      writeFileSync(scene.file(key), '');
      truncateSync(scene.file(key), 10 * 1024 * MiB);
    }

    await expectRestores(scene, stage);
  });
});

describe('a chunk or manifest that unpacks to more than it says', () => {
  it('is refused before it is unpacked, although it is sealed with genuine keys', () => {
    const keys = stage.keyring.currentEpoch;
    const bomb = zstdCompressSync(Buffer.alloc(512 * MiB), { params: { [constants.ZSTD_c_compressionLevel]: 1 } });
    expect(bomb.length).toBeLessThan(MiB);
    const id = 'ab'.repeat(32);
    const header = Buffer.from('454d43480101000000000001', 'hex');
    const nonce = Buffer.alloc(12, 1);
    const cipher = createCipheriv('aes-256-gcm', keys.chunk, nonce);
    cipher.setAAD(Buffer.concat([header, nonce, Buffer.from(id, 'hex')]));
    const chunk = Buffer.concat([header, nonce, cipher.update(bomb), cipher.final(), cipher.getAuthTag()]);
    const place = encodeFields('enclave-manager/1/manifest', [stage.newest.id, 1]);
    const details = sealBytes(keys.manifest, Buffer.alloc(nonceBytes, 2), place, bomb);

    const before = process.memoryUsage.rss();
    expect(() => openChunk(keys, id, chunk, { maxRowBytes: 1000 })).toThrow(
      expect.objectContaining({ code: 'damaged', message: expect.stringContaining('at most 1000 bytes') }) as Error,
    );
    expect(() => openDetails(keys, stage.newest.id, details)).toThrow(
      expect.objectContaining({ code: 'damaged', message: expect.stringContaining('does not unpack') }) as Error,
    );
    // The encrypted part of a manifest may have 256 MiB; nothing near the 512 was built.
    expect(process.memoryUsage.rss() - before).toBeLessThan(400 * MiB);
  });
});

describe('what is not a regular file in a directory repository', () => {
  it('is neither followed nor waited for: links, pipes, sockets, devices and directories', async () => {
    const scene = new Scene(stage);
    const aside = temporaryDirectory();
    const fifo = (key: string): void => {
      mkdirSync(dirname(scene.file(key)), { recursive: true });
      rmSync(scene.file(key), { force: true });
      execFileSync('mkfifo', [scene.file(key)]);
    };
    fifo(manifestPath('20990101T000000Z-aaaaaa'));
    fifo('keyring/members/2.json');
    fifo('enclave-manager.json');
    mkdirSync(scene.file(manifestPath('20990101T000000Z-bbbbbb')));
    symlinkSync('/dev/zero', scene.file(manifestPath('20990101T000000Z-cccccc')));
    symlinkSync(scene.file(manifestPath(stage.newest.id)), scene.file(manifestPath('20990101T000000Z-dddddd')));
    // Genuine bytes, but reached through a link: not what the repository holds.
    const older = scene.file(manifestPath(stage.older.id));
    renameSync(older, join(aside, basename(older)));
    symlinkSync(join(aside, basename(older)), older);

    expect((await scene.succeed('backup', 'list')).document).toMatchObject([{ id: stage.newest.id }]);
    const refused = await scene.fail('restore', 'run', stage.older.id, '--yes');
    expect(refused).toMatchObject({ exitCode: 3, code: 'not-found' });
    await expectRestores(scene, stage);
  });

  it('is refused, by its name, when the directory on the way to an object is a link', async () => {
    const scene = new Scene(stage);
    const aside = temporaryDirectory();
    const { objects } = readManifestSummary(stage.manifest);
    const directory = scene.file(`chunks/${objects[0]!.name.slice(0, 2)}`);
    cpSync(directory, join(aside, 'chunks'), { recursive: true });
    rmSync(directory, { recursive: true });
    symlinkSync(join(aside, 'chunks'), directory);

    const refusal = { exitCode: 10, code: 'configuration', message: `${directory} is not a directory` };
    expect(await scene.fail('backup', 'verify', stage.newest.id)).toMatchObject(refusal);
    expect(await scene.fail('restore', 'run', 'latest', '--yes')).toMatchObject(refusal);
    expect(await scene.rows()).toBeUndefined();
  });
});

/** What no directory can be made to do: a store that answers as its master wishes. */
describe('a store that lies', () => {
  it('with a flood of keyring documents stops neither a manager nor a restore', async () => {
    let answered = 0;
    const store = storeWith(stage.host.store, {
      list: (prefix) => chained(prefix === 'keyring/' ? flood() : [], stage.host.store.list(prefix)),
      get: async (key, limit) => {
        if (!/^keyring\/members\/\d+\.json$/.test(key) || key === 'keyring/members/1.json')
          return await stage.host.store.get(key, limit);
        answered += 1;
        return Buffer.from('{}');
      },
    });

    const { keyring } = await openRepository(store, stage.host.sealing);
    expect(keyring.documents).toHaveLength(stage.documents.length);
    expect(answered).toBeGreaterThan(maxKeyringDocuments);
    const context = makeContext();
    const cluster = await openCluster(context, { ...stage.host, store });
    await cluster.database.close();
    expect(context.notes.join()).toContain('The keys in the database are used.');
  });

  it('with a listing that never ends is damaged, soon', async () => {
    const store = storeWith(stage.host.store, { list: () => endless() });
    await expect(openRepository(store, stage.host.sealing)).rejects.toMatchObject({
      code: 'damaged',
      exitCode: 20,
      message: expect.stringContaining('lists more than 2000000 objects'),
    });
  });

  it('with another answer at the second reading is held to what was signed', async () => {
    const scene = new Scene(stage);
    const attacker = new Attacker(stage);
    const key = manifestPath(stage.newest.id);
    let readings = 0;
    const store = lying(scene, async (asked, genuine) => {
      if (asked !== key) return genuine;
      readings += 1;
      return readings === 1 ? genuine : attacker.resign('manifest', JSON.parse(parseFile(genuine!).payload) as object);
    });
    const host = { ...(await makeHost({ directory: scene.dataDirectory, liveName: freshDatabaseName() })), store };

    await expect(restore(makeContext(), host, confirmed)).rejects.toMatchObject({ code: 'forged', exitCode: 20 });
    expect(readings).toBe(2);
    expect(await host.server.databaseIdentity(host.server.liveName)).toBeUndefined();
  });

  it('with other chunks when they are loaded than when they were verified is found out', async () => {
    const scene = new Scene(stage);
    rmSync(scene.file('verifications'), { recursive: true });
    const real = scene.store;
    const store = storeWith(real, {
      put: async (key, bytes) => {
        const outcome = await real.put(key, bytes);
        if (key.startsWith('verifications/')) flipChunks(scene);
        return outcome;
      },
    });
    const host = { ...(await makeHost({ directory: scene.dataDirectory, liveName: freshDatabaseName() })), store };

    await expect(restore(makeContext(), host, confirmed)).rejects.toMatchObject({ code: 'damaged', exitCode: 20 });
    expect(await host.server.databaseIdentity(host.server.liveName)).toBeUndefined();
    scene.expectPlanted();
  });
});

const object = (key: string) => ({ key, sizeBytes: 2, modifiedAt: new Date() });

function* flood() {
  for (let index = 0; index <= maxKeyringDocuments; index += 1) yield object(`keyring/members/${index + 2}.json`);
}

async function* endless() {
  for (let index = 0; ; index += 1) yield object(`keyring/junk/${index}`);
}

function flipChunks(scene: Scene): void {
  for (const [name, chunk] of stage.chunks) {
    const other = Buffer.from(chunk);
    other[other.length - 1]! ^= 1;
    scene.plant(`chunks/${name.slice(0, 2)}/${name}`, other);
  }
}

function lying(
  scene: Scene,
  answer: (key: string, genuine: Buffer | undefined) => Promise<Buffer | undefined>,
): ObjectStore {
  const real = scene.store;
  return storeWith(real, { get: async (key, limit) => await answer(key, await real.get(key, limit)) });
}

async function* chained<T>(first: Iterable<T>, second: AsyncIterable<T>): AsyncGenerator<T> {
  yield* first;
  yield* second;
}
