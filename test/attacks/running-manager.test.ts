import { linkSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { manifestPath } from '#format/layout.ts';
import { runJson } from '../fixtures/command.ts';
import { temporaryDirectory } from '../fixtures/host.ts';
import { Attacker, parseFile, spell } from './attacker.ts';
import { Scene, setStage, type Stage } from './stage.ts';

let stage: Stage;

beforeAll(async () => {
  stage = await setStage();
});

/** Everything at once that an attacker may leave: forged keys and backups, bombs, and thousands of junk names. */
async function litter(scene: Scene): Promise<void> {
  const attacker = new Attacker(stage);
  for (const { path, bytes } of await attacker.generation(2)) scene.plant(path, bytes);
  const manifest = parseFile(stage.manifest);
  scene.plant(
    manifestPath('20990101T000000Z-aaaaaa'),
    attacker.resign('manifest', JSON.parse(manifest.payload) as object),
  );
  scene.plant(manifestPath('20990101T000000Z-bbbbbb'), stage.manifest);
  scene.plant(manifestPath('20990101T000000Z-cccccc'), spell({ ...manifest, formatVersion: 9 }));
  scene.plant(manifestPath('20990101T000000Z-dddddd'), Buffer.from(`[${'{},'.repeat(1_000_000)}{}]`));
  for (const directory of ['keyring/members', 'verifications', 'chunks/00', 'backups']) {
    mkdirSync(scene.file(directory), { recursive: true });
    const junk = scene.file(`${directory}/0junk`);
    writeFileSync(junk, '{"type":"members"}');
    for (let index = 0; index < 500; index += 1) {
      const name = directory === 'keyring/members' ? `${index + 100}.json` : `junk-${index}.json`;
      linkSync(junk, scene.file(`${directory}/${name}`));
    }
  }
}

describe('a running manager', { timeout: 240_000 }, () => {
  it('that meets all of it stays up, says so, goes on backing up and admitting, and loses nothing', async () => {
    const scene = new Scene(stage, { database: stage.host.server.liveName });
    await litter(scene);
    const serve = await scene.serve();
    const [, address] = await serve.saw(/it is up at (http:\S+)[^]*Stop with Ctrl-C/);

    const status = z
      .object({ findings: z.array(z.object({ code: z.string(), message: z.string() })) })
      .parse(JSON.parse((await scene.run('status', '--json')).stdout));
    const said = Object.fromEntries(status.findings.map(({ code, message }) => [code, message]));
    expect(said['manifest-rejected']).toMatch(
      /backups\/.* is not a backup of this cluster: .*, and \d{3} more like it/,
    );
    expect(said['keyring-rejected']).toMatch(/keyring\/\S+ counts for nothing: .*, and \d{3} more like it/);
    expect((await scene.succeed('backup', 'create')).document).toMatchObject({ sequence: 3, newChunks: 0 });
    await enrolBeside(scene);
    expect((await fetch(`${address}/livez`)).status).toBe(200);
    expect((await fetch(`${address}/readyz`)).status).toBe(200);
    serve.child.kill('SIGTERM');
    expect((await serve.ended).exitCode).toBe(0);

    expect(await scene.rows()).toEqual(
      expect.objectContaining({ users: stage.rows['users'], settings: stage.rows['settings'] }),
    );
    const listed = z.array(z.object({ sequence: z.number() })).parse((await scene.succeed('backup', 'list')).document);
    expect(listed.map(({ sequence }) => sequence)).toEqual([3, 2, 1]);
    scene.expectPlanted();
  });
});

/** The manager reads the littered keyring, and wraps the keys to the new host and to nobody else. */
async function enrolBeside(scene: Scene): Promise<void> {
  const { token } = z.object({ token: z.string() }).parse((await scene.succeed('node', 'invite')).document);
  const dataDirectory = temporaryDirectory();
  const tokenFile = join(dataDirectory, 'token');
  writeFileSync(tokenFile, token);
  const env = {
    ...(await scene.environment()),
    ENCLAVE_MANAGER_REPOSITORY: scene.repository,
    ENCLAVE_MANAGER_NODE_NAME: 'host-b',
  };
  await runJson(['node', 'enrol', '--token-file', tokenFile], { dataDirectory, env });
  const nodes = z.array(z.object({ name: z.string() })).parse((await scene.succeed('node', 'list')).document);
  expect(nodes.map(({ name }) => name)).toEqual(['host-a', 'host-b']);
}
