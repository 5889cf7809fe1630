import { cpSync, existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { makeEvictedForger, type EvictedForger } from '../fixtures/evicted-forger.ts';
import { Scene } from './stage.ts';

let story: EvictedForger;

beforeAll(async () => {
  story = await makeEvictedForger();
}, 240_000);

interface Off {
  /** `false`: its data directory was lost, but for the key file. */
  readonly remembers?: boolean;
  readonly database?: string;
}

/** host-b, which was off while the keys were changed, and before it a bucket: the cluster's, or the evicted host's. */
function hostThatWasOff(bucket: 'genuine' | 'forged', { remembers = true, database }: Off = {}): Scene {
  const scene = new Scene(
    { host: story.second },
    { remembers, repositoryOf: story.host, ...(database === undefined ? {} : { database }) },
  );
  rmSync(scene.repository, { recursive: true });
  cpSync(story[bucket], scene.repository, { recursive: true });
  return scene;
}

const verifications = (scene: Scene): string[] => readdirSync(join(scene.repository, 'verifications'));

interface Listed {
  readonly id: string;
  readonly authentic: boolean | 'unknown';
  readonly unknown: { readonly code: string; readonly message: string; readonly hint: string } | null;
}

const list = async (scene: Scene, ...args: string[]): Promise<{ listed: Listed[]; said: string }> => {
  const { document, said } = await scene.succeed('backup', 'list', ...args);
  return { listed: document as Listed[], said };
};

describe('on a host that was off while the keys were changed, a bucket that an evicted host replaced', () => {
  it('is listed and shown as not known to be authentic, because its key is newer than what the host has seen', async () => {
    const { old, theirs } = story;
    const scene = hostThatWasOff('forged');
    const message =
      `this host has seen the cluster key ${old.clusterKey}; file://${scene.repository} leads on to ${theirs.clusterKey}, ` +
      'which a host that was evicted meanwhile could have made as well';

    const { listed, said } = await list(scene);
    expect(listed.map(({ id }) => id)).toContain(theirs.id);
    for (const backup of listed) {
      expect(backup).toMatchObject({ authentic: 'unknown', verified: null, lastDrill: null, openableBy: [] });
      expect(backup.unknown).toMatchObject({
        code: 'usage',
        message,
        hint: expect.stringMatching(/--cluster-key FINGERPRINT/),
      });
    }
    expect(said).toContain(`Warning: whether anything below is authentic is unknown, because ${message}. Take the`);

    const text = await scene.run('backup', 'list');
    expect(text.exitCode).toBe(0);
    expect(text.stdout.match(/ unknown +unknown +unknown +unknown$/gm)).toHaveLength(listed.length);
    expect(text.stdout).not.toMatch(/ yes /);
    const { document } = await scene.succeed('backup', 'show', 'latest');
    expect(document).toMatchObject({ id: theirs.id, authentic: 'unknown', tables: null, unknown: { message } });
    const { document: plan } = await scene.succeed('restore', 'plan', 'latest');
    expect(plan).toMatchObject({ backup: { id: theirs.id, authentic: 'unknown' }, unknown: { message } });
  });

  it('is neither verified, drilled nor exported, as it is not restored', async () => {
    const scene = hostThatWasOff('forged');
    const before = verifications(scene);
    const file = join(scene.dataDirectory, 'malbork.sql');
    for (const command of [
      ['restore', 'run', 'latest', '--yes'],
      ['backup', 'verify', 'latest'],
      ['backup', 'drill', 'latest'],
      ['backup', 'prune', '--dry-run', '--keep-last', '1'],
      ['backup', 'export', 'latest', '--format', 'sql', '--output', file],
      ['backup', 'export', story.old.id, '--format', 'sql', '--output', file],
    ]) {
      const refusal = await scene.fail(...command);
      expect(refusal).toMatchObject({ exitCode: 2, code: 'usage' });
      expect(refusal.message).toContain(`leads on to ${story.theirs.clusterKey}`);
      expect(refusal.hint).toMatch(/name it: (restore run latest )?--cluster-key FINGERPRINT/);
    }
    const printed = await scene.run('backup', 'export', 'latest', '--format', 'sql');
    expect({ exitCode: printed.exitCode, stdout: printed.stdout }).toEqual({ exitCode: 2, stdout: '' });
    expect(existsSync(file)).toBe(false);
    expect(verifications(scene)).toEqual(before);
  });

  it('is not the right one where the right key is named', async () => {
    const { fresh, theirs } = story;
    const scene = hostThatWasOff('forged');
    const named = ['--cluster-key', fresh.clusterKey];
    for (const command of [
      ['backup', 'list'],
      ['backup', 'verify', 'latest'],
      ['backup', 'prune', '--dry-run', '--keep-last', '1'],
      ['backup', 'export', 'latest', '--format', 'sql'],
    ]) {
      const { exitCode, stdout, stderr } = await scene.run(...command, ...named);
      expect({ exitCode, stdout }).toEqual({ exitCode: 20, stdout: '' });
      expect(stderr).toContain(`is ${theirs.clusterKey}, not ${fresh.clusterKey}`);
    }
  });

  it('proves nothing either where the host lost its memory, and its hardware holds the key of before', async () => {
    const scene = hostThatWasOff('forged', { remembers: false });
    const { listed } = await list(scene);
    for (const { authentic, unknown } of listed) {
      expect(authentic).toBe('unknown');
      expect(unknown?.message).toMatch(/^the hardware of this host sealed the cluster key of generation 1; /);
    }
    expect(await scene.fail('backup', 'verify', 'latest')).toMatchObject({ exitCode: 2, code: 'usage' });
  });
});

describe('the bucket of the cluster', () => {
  it('is believed by a host that was off once the key is named, or learnt beside the live database', async () => {
    const { fresh, host } = story;
    const scene = hostThatWasOff('genuine', { database: host.server.liveName });
    const named = ['--cluster-key', fresh.clusterKey];
    expect((await list(scene)).listed[0]).toMatchObject({ id: fresh.id, authentic: 'unknown' });
    expect((await list(scene, ...named)).listed[0]).toMatchObject({ id: fresh.id, authentic: true, unknown: null });
    expect((await scene.succeed('backup', 'verify', 'latest', ...named)).document).toMatchObject({ id: fresh.id });
    const prune = ['backup', 'prune', '--keep-last', '1'];
    const preview = await scene.succeed(...prune, '--dry-run', ...named);
    expect(preview.document).toMatchObject({ dryRun: true, kept: [{ id: fresh.id }] });
    expect(await scene.fail(...prune, '--yes', ...named)).toMatchObject({ exitCode: 2, code: 'usage' });
    const file = join(scene.dataDirectory, 'malbork.sql');
    const wanted = ['backup', 'export', 'latest', '--format', 'sql', '--output', file];
    expect((await scene.succeed(...wanted, ...named)).document).toMatchObject({ id: fresh.id });
    expect(readFileSync(file, 'utf8')).not.toContain('Mallory');

    await scene.succeed('keys', 'status');
    const { listed, said } = await list(scene);
    expect(listed.map(({ authentic, unknown }) => [authentic, unknown])).toEqual(listed.map(() => [true, null]));
    expect(said).toBe('');
    await scene.succeed('backup', 'verify', 'latest');
  });

  it('is believed unasked by the host that changed the keys, also where that lost its memory', async () => {
    for (const remembers of [true, false]) {
      const scene = new Scene(story, { remembers });
      const { listed } = await list(scene);
      expect(listed[0]).toMatchObject({ id: story.fresh.id, authentic: true, unknown: null });
    }
  });

  it('is noticed where somebody put it back to before the keys were changed', async () => {
    const scene = new Scene(story);
    rmSync(scene.repository, { recursive: true });
    cpSync(story.forged, scene.repository, { recursive: true });
    rmSync(scene.file('keyring/epochs/2'), { recursive: true });
    const { listed } = await list(scene);
    expect(listed.map(({ authentic }) => authentic)).toEqual(listed.map(() => 'unknown'));
    expect(listed[0]?.unknown).toMatchObject({
      code: 'forged',
      message: expect.stringMatching(/newer keys were deleted or hidden$/),
    });
    expect(await scene.fail('backup', 'verify', story.old.id)).toMatchObject({ exitCode: 20, code: 'forged' });
  });
});
