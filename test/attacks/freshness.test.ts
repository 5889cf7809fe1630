import { cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { openLocalState } from '#adapters/data-directory/local-state.ts';
import { manifestPath } from '#format/layout.ts';
import { startCommand } from '../fixtures/command.ts';
import { expectRefused, expectRestores, Scene, setStage, type Stage } from './stage.ts';
import { spell, parseFile } from './attacker.ts';

let stage: Stage;
const run = ['restore', 'run', 'latest', '--yes'];

beforeAll(async () => {
  stage = await setStage();
});

/** The repository as it was after the first backup; chunks that nobody names any more mean nothing. */
function rolledBack(scene: Scene): void {
  const later = readdirSync(scene.file('verifications')).filter((name) =>
    scene.read(`verifications/${name}`).includes(stage.newest.id),
  );
  expect(later).toHaveLength(1);
  scene.remove(manifestPath(stage.newest.id), ...later.map((name) => `verifications/${name}`));
}

/** A cluster that the stage's hardware belongs to as well. */
async function joined(): Promise<Stage> {
  const other = await setStage({ hardwareOf: stage });
  expect(readFileSync(join(other.host.directory, 'keys/host.key'))).toEqual(
    readFileSync(join(stage.host.directory, 'keys/host.key')),
  );
  return other;
}

describe('the newest backup deleted or hidden, or the whole repository rolled back to an earlier copy', () => {
  it('is noticed by a host that has seen it, which restores the older one only when told to accept the loss', async () => {
    const scene = new Scene(stage);
    rolledBack(scene);

    const message =
      /newest backup in file:\S+ has sequence 1, but sequence 2 existed: newer backups were deleted or hidden/;
    await expectRefused(scene, { exitCode: 20, code: 'forged', message }, ...run);
    // The sequence of an older recovery line is a bound, and no word for what came after it.
    for (const bound of ['1', '2']) {
      const asked = [...run, '--cluster-key', stage.older.clusterKey, '--at-least-sequence', bound];
      await expectRefused(scene, { exitCode: 20, code: 'forged', message }, ...asked);
    }
    const { hint } = await scene.fail(...run);
    expect(hint).toContain('--accept-missing-after 1');
    await expectRefused(scene, { exitCode: 20, code: 'forged', message }, ...run, '--accept-missing-after', '2');
    const both = ['--accept-missing-after', '1', '--at-least-sequence', '2'];
    await expectRefused(scene, { exitCode: 20, code: 'forged', message }, ...run, ...both);
    const { document } = await scene.succeed(...run, '--accept-missing-after', '1', '--at-least-sequence', '1');
    expect(document).toMatchObject({ backupId: stage.older.id });
  });

  it('and put back once the plan was shown, does not bring the older one', async () => {
    const scene = new Scene(stage);
    const path = manifestPath(stage.newest.id);
    const bytes = scene.read(path);
    scene.remove(path);
    const restoring = startCommand(run, { dataDirectory: scene.dataDirectory, env: await scene.environment() });
    await restoring.saw(/This would stop it:\n {2}- This host has seen sequence 2; the newest here is 1/);
    writeFileSync(scene.file(path), bytes);

    const { exitCode, stderr } = await restoring.ended;
    expect(stderr).toMatch(/Error: the newest backup in file:\S+ has sequence 1, but sequence 2 existed/);
    expect(exitCode).toBe(20);
    expect(await scene.rows()).toBeUndefined();
  });

  it('is said by whatever lists or picks a backup', async () => {
    const scene = new Scene(stage);
    rolledBack(scene);

    const hidden =
      /newest backup in file:\S+ has sequence 1, but sequence 2 existed: newer backups were deleted or hidden/;
    for (const words of [['list'], ['show', 'latest'], ['verify', 'latest']]) {
      const { exitCode, stderr } = await scene.run('backup', ...words);
      expect(exitCode).toBe(0);
      expect(stderr).toMatch(hidden);
    }
  });

  it('is not taken for a repository without backups where all of them are gone', async () => {
    const scene = new Scene(stage);
    scene.remove('backups');
    expect(existsSync(scene.file('backups'))).toBe(false);

    const message = /there is no backup in file:\S+, but sequence 2 existed: all were deleted or hidden/;
    await expectRefused(scene, { exitCode: 20, code: 'forged', message }, ...run);
    await expectRefused(scene, { exitCode: 20, code: 'forged', message }, 'restore', 'plan', 'latest');
    const named = ['restore', 'plan', stage.newest.id];
    await expectRefused(scene, { exitCode: 20, code: 'forged', message }, ...named);
    expect((await scene.run('backup', 'list')).stderr).toMatch(message);
  });

  it('is noticed on an empty machine by who compares with the recovery line', async () => {
    const scene = new Scene(stage, { remembers: false });
    rolledBack(scene);
    const key = ['--cluster-key', stage.newest.clusterKey];

    const nobodyAsked = /this host remembers no cluster, so it cannot tell whether file:\S+ shows the newest backups/;
    await expectRefused(scene, { exitCode: 2, code: 'usage', message: nobodyAsked }, ...run);
    const hidden = /has sequence 1, but sequence 2 existed/;
    await expectRefused(
      scene,
      { exitCode: 20, code: 'forged', message: hidden },
      ...run,
      ...key,
      '--at-least-sequence',
      '2',
    );
    // The recovery line is all there is: without its sequence nothing shows that something is missing.
    expect((await scene.succeed(...run, ...key)).document).toMatchObject({ backupId: stage.older.id });
  });
});

describe("another cluster's repository", () => {
  it('is refused by a host that belongs to this one, although its hardware opens it', async () => {
    const other = await joined();
    const scene = new Scene(stage);
    scene.remove('.');
    cpSync(join(other.host.directory, 'backups'), scene.repository, { recursive: true });

    const message = new RegExp(
      `this host belongs to cluster ${stage.keyring.clusterId}, but file:\\S+ to cluster ${other.keyring.clusterId}`,
    );
    await expectRefused(scene, { exitCode: 12, code: 'repository-foreign', message }, ...run);
    const wrongKey = new RegExp(`the cluster key of file:\\S+ is ${escape(other.newest.clusterKey)}, not `);
    const named = [...run, '--cluster-key', stage.newest.clusterKey];
    await expectRefused(scene, { exitCode: 20, code: 'forged', message: wrongKey }, ...named);
    // It was read: who names its key restores it.
    expect((await scene.succeed(...run, '--cluster-key', other.newest.clusterKey)).document).toMatchObject({
      backupId: other.newest.id,
    });
  });

  it('mixed into this one is set aside, as the marker names this one; without a marker it stops a restore, which names both', async () => {
    const other = await joined();
    const scene = new Scene(stage);
    for (const { path, bytes } of other.documents) if (path.includes('/nodes/')) scene.plant(path, bytes);
    await expectRestores(scene, stage);
    scene.expectPlanted();

    const unmarked = new Scene(stage);
    for (const { path, bytes } of other.documents) if (path.includes('/nodes/')) unmarked.plant(path, bytes);
    unmarked.remove('enclave-manager.json');
    const { exitCode, code, message } = await unmarked.fail(...run);
    expect({ exitCode, code }).toEqual({ exitCode: 12, code: 'repository-foreign' });
    for (const id of [stage.keyring.clusterId, other.keyring.clusterId]) expect(message).toContain(id);
    unmarked.expectPlanted();
  });

  it('mixed into this one does not stop a manager that has a database: it remembers whose it is', async () => {
    const other = await joined();
    const scene = new Scene(stage, { database: stage.host.server.liveName });
    for (const { path, bytes } of other.documents) if (path.includes('/nodes/')) scene.plant(path, bytes);

    const { exitCode, stdout, stderr } = await scene.run('node', 'list');
    expect([exitCode, stdout]).toEqual([0, expect.stringContaining(stage.keyring.nodeId)]);
    expect(stderr).toContain(`Those of cluster ${stage.keyring.clusterId} are used.`);
    scene.expectPlanted();
  });

  it('with its database does not make a host forget its own', async () => {
    const other = await joined();
    const scene = new Scene(stage, { database: other.host.server.liveName });
    scene.remove('.');
    cpSync(join(other.host.directory, 'backups'), scene.repository, { recursive: true });
    const state = openLocalState(scene.dataDirectory);
    const before = await state.read();

    const { exitCode, code, message } = await scene.fail('status');
    expect({ exitCode, code }).toEqual({ exitCode: 12, code: 'repository-foreign' });
    expect(message).toContain(`belongs to cluster ${stage.keyring.clusterId}`);
    expect(await state.read()).toEqual(before);
    rmSync(join(scene.dataDirectory, 'state'), { recursive: true });
    expect((await scene.run('status', '--json')).stdout).toContain(other.keyring.clusterId);
  });

  it('in the form of its marker stops reading and writing', async () => {
    const other = await joined();
    const scene = new Scene(stage);
    scene.plant('enclave-manager.json', readFileSync(join(other.host.directory, 'backups/enclave-manager.json')));

    const message = new RegExp(`belongs to cluster ${other.keyring.clusterId}`);
    await expectRefused(scene, { exitCode: 12, code: 'repository-foreign', message }, ...run);
    scene.expectPlanted();
  });
});

describe('a marker of a newer format', () => {
  it('is refused as such by every command that reads the repository', async () => {
    const scene = new Scene(stage);
    const file = parseFile(scene.read('enclave-manager.json'));
    scene.plant('enclave-manager.json', spell({ ...file, formatVersion: 2 }));

    const refusal = {
      exitCode: 22,
      code: 'version-incompatible',
      message: /has format version 2; this program knows 1/,
    };
    for (const args of [run, ['backup', 'list'], ['backup', 'verify', 'latest'], ['restore', 'plan', 'latest']])
      await expectRefused(scene, refusal, ...args);
    scene.expectPlanted();
  });
});

describe('everything emptied', () => {
  it('does not make a host begin a new cluster as if it had none', async () => {
    const scene = new Scene(stage);
    scene.remove('.');

    const serve = await scene.serve();
    await serve.saw(new RegExp(`this host belongs to cluster ${stage.keyring.clusterId}, of which nothing is left`));
    serve.child.kill('SIGTERM');
    expect((await serve.ended).exitCode).toBe(0);
    expect(await scene.rows()).toBeUndefined();
    expect(existsSync(scene.repository)).toBe(false);
  });
});

describe('an earlier time of the cluster', () => {
  it('before the newest cluster key that a host has seen is refused, with its database and without', async () => {
    const scene = new Scene(stage, { database: stage.host.server.liveName });
    const state = openLocalState(scene.dataDirectory);
    const newer = `sha256:${'A'.repeat(43)}`;
    await state.update((before) => ({ ...before!, clusterKey: newer }));

    const status = await scene.fail('status');
    expect(status).toMatchObject({ exitCode: 20, code: 'forged', message: expect.stringContaining(newer) });
    const restored = await scene.fail(...run);
    expect(restored).toMatchObject({ exitCode: 20, code: 'forged', message: expect.stringContaining(newer) });
    expect((await state.read())?.clusterKey).toBe(newer);
  });

  it('before a membership that a host has seen is refused, until a person names the cluster key', async () => {
    const own = await setStage();
    const scene = new Scene(own, { database: own.host.server.liveName });
    const state = openLocalState(scene.dataDirectory);
    const before = (await state.read())!;
    expect(before.highestMembership).toBe(1);
    const { highestMembership: _, ...byAnEarlierVersion } = before;
    await state.update(() => byAnEarlierVersion);
    await scene.succeed('keys', 'status');
    expect(await state.read()).toEqual(before);

    await state.update(() => ({ ...before, highestMembership: 9 }));
    const message = expect.stringMatching(/seen membership 9 of the cluster; .+ leads only to membership 1:/);
    const refused = {
      exitCode: 20,
      code: 'forged',
      message,
      hint: expect.stringContaining('keys status --cluster-key'),
    };
    for (const args of [['status'], ['backup', 'create'], run])
      expect(await scene.fail(...args)).toMatchObject(refused);
    expect((await state.read())?.highestMembership).toBe(9);
    await scene.succeed('keys', 'status', '--cluster-key', own.keyring.fingerprint);
    const { document } = await scene.succeed('keys', 'status');
    expect(document).toMatchObject({ membershipNumber: 10 });
    expect((await state.read())?.highestMembership).toBe(10);
  });
});

const escape = (text: string): string => text.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);
