import { cpSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { openLocalState } from '#adapters/data-directory/local-state.ts';
import { markerPath } from '#format/layout.ts';
import { openOrCreateCluster } from '#operations/open-cluster.ts';
import { makeEvictedForger, type EvictedForger } from '../fixtures/evicted-forger.ts';
import { makeContext, makeHost, temporaryDirectory, type TestHost } from '../fixtures/host.ts';
import { objectFile } from '../fixtures/repository.ts';
import { Scene, type SceneOptions } from './stage.ts';

let story: EvictedForger;
/** Of another cluster. */
let stranger: TestHost;

beforeAll(async () => {
  story = await makeEvictedForger();
  stranger = await makeHost();
  await (await openOrCreateCluster(makeContext(), stranger)).cluster.database.close();
}, 200_000);

interface Plan {
  readonly obstacles: readonly string[];
  readonly unknown: { readonly code: string; readonly message: string } | null;
  readonly backup: { readonly authentic: boolean | 'unknown' };
}

const planOf = async (scene: Scene): Promise<Plan> =>
  (await scene.succeed('restore', 'plan', 'latest')).document as Plan;

const sceneWith = (
  host: Pick<TestHost, 'directory'>,
  bucket: 'genuine' | 'forged',
  options: Omit<SceneOptions, 'repositoryOf'> = {},
): Scene => {
  const scene = new Scene({ host }, { repositoryOf: story.host, ...options });
  rmSync(scene.repository, { recursive: true });
  cpSync(story[bucket], scene.repository, { recursive: true });
  return scene;
};

/** The hardware of the first host, where the memory is that of a host of another cluster. */
const withStrangeMemory = (): Pick<TestHost, 'directory'> => {
  const directory = temporaryDirectory();
  cpSync(join(story.host.directory, 'keys'), join(directory, 'keys'), { recursive: true });
  cpSync(join(stranger.directory, 'state'), join(directory, 'state'), { recursive: true });
  return { directory };
};

const withStrangeMarker = (): Scene => {
  const scene = sceneWith(story.host, 'genuine');
  scene.plant(markerPath, readFileSync(objectFile(stranger, markerPath)));
  return scene;
};

describe('the plan of a restore says what the restore refuses, and proves nothing then', () => {
  it.each<{ what: string; scene: () => Scene; exitCode: number; code: string; message: RegExp }>([
    {
      what: 'keys from before the newest that the host has seen',
      scene: () => sceneWith(story.host, 'forged'),
      exitCode: 20,
      code: 'forged',
      message: /^this host has seen the cluster key .* leads only to .*: newer keys were deleted or hidden$/,
    },
    {
      what: 'the same beside a live database that has no others',
      scene: () => sceneWith(story.host, 'forged', { database: story.theirDatabase }),
      exitCode: 20,
      code: 'forged',
      message: /^this host has seen the cluster key .* leads only to .*: newer keys were deleted or hidden$/,
    },
    {
      what: 'a live database and a repository that contradict each other',
      scene: () => sceneWith(story.second, 'forged', { database: story.host.server.liveName }),
      exitCode: 20,
      code: 'forged',
      message: /^the keys in the database .* contradict each other/,
    },
    {
      what: 'another cluster than the host remembers',
      scene: () => sceneWith(withStrangeMemory(), 'genuine'),
      exitCode: 12,
      code: 'repository-foreign',
      message: /^this host belongs to cluster .*, but .* to cluster /,
    },
    {
      what: 'a repository whose marker names another cluster',
      scene: withStrangeMarker,
      exitCode: 12,
      code: 'repository-foreign',
      message: /belongs to cluster .*; the keys that open here are of cluster /,
    },
  ])('$what', async ({ scene: make, exitCode, code, message }) => {
    const scene = make();
    const plan = await planOf(scene);
    expect(plan).toMatchObject({ backup: { authentic: 'unknown' }, unknown: { code } });
    expect(plan.unknown?.message).toMatch(message);
    expect(plan.obstacles[0]?.toLowerCase()).toContain(plan.unknown!.message.toLowerCase());
    const refused = await scene.fail('restore', 'run', 'latest', '--yes');
    expect(refused).toMatchObject({ exitCode, code, message: expect.stringMatching(message) });
  });

  it('a key that was named and is another one', async () => {
    const scene = sceneWith(story.host, 'genuine');
    const run = ['restore', 'run', 'latest', '--yes', '--cluster-key', story.old.clusterKey];
    const { exitCode, stderr } = await scene.run(...run);
    expect(exitCode).toBe(20);
    const said = stderr.replaceAll(/\s+/g, ' ');
    expect(said).toMatch(/Authentic unknown, because the cluster key of \S+ is sha256:\S+, not sha256:/);
    expect(said).toContain(`is ${story.fresh.clusterKey}, not ${story.old.clusterKey}`);
    expect(await scene.rows()).toBeUndefined();
  });

  it('a membership that the host has seen and that the live database does not have either, which leaves backups proved', async () => {
    const { host } = story;
    const scene = sceneWith(host, 'genuine', { database: host.server.liveName });
    expect(await planOf(scene)).toMatchObject({ obstacles: [], unknown: null, backup: { authentic: true } });

    await openLocalState(scene.dataDirectory).update((before) => ({ ...before!, highestMembership: 99 }));
    const plan = await planOf(scene);
    expect(plan).toMatchObject({ unknown: null, backup: { authentic: true } });
    expect(plan.obstacles).toEqual([expect.stringMatching(/^This host has seen membership 99 of the cluster; /)]);
    expect(await scene.fail('restore', 'run', 'latest', '--yes')).toMatchObject({ exitCode: 20, code: 'forged' });
  });
});
