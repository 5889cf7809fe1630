import { describe, expect, it, vi } from 'vitest';
import { createBackup } from '#operations/create-backup.ts';
import { openCluster } from '#operations/open-cluster.ts';
import { rememberNode } from '#operations/remember-node.ts';
import { rememberSequence } from '#operations/remember-sequence.ts';
import { rotateKeys } from '#operations/rotate-keys.ts';
import { makeCluster } from '../fixtures/cluster.ts';
import { makeContext, type TestHost } from '../fixtures/host.ts';
import { enrolHosts, withCluster } from '../fixtures/hosts.ts';

vi.setConfig({ testTimeout: 120_000 });

/** Resolves with the new cluster key. */
async function rotate(host: TestHost): Promise<string> {
  await withCluster(host, (cluster) => rotateKeys(makeContext(), host, cluster));
  return await withCluster(host, ({ keyring }) => Promise.resolve(keyring.fingerprint));
}

describe('what a host remembers', () => {
  it('is brought to the newest key by all commands at once after a rotation elsewhere', async () => {
    const { host } = await makeCluster();
    const [second] = await enrolHosts(host, ['host-b']);
    for (let round = 0; round < 3; round += 1) {
      const newest = await rotate(host);
      // As one process that serves does: scheduler, key tending, admission and status beside each other.
      const seen = await Promise.all(
        [1, 2, 3, 4].map(() => withCluster(second!, ({ keyring }) => Promise.resolve(keyring.fingerprint))),
      );
      expect(seen).toEqual([newest, newest, newest, newest]);
      expect((await second!.localState.read())?.clusterKey).toBe(newest);
    }
  });

  it('is not turned back by a command that began before newer keys and ends after them', async () => {
    const { context, host, cluster } = await makeCluster();
    await createBackup(context, cluster, { kind: 'manual' });
    const newest = await rotate(host);
    const known = await host.localState.read();
    expect(known).toMatchObject({ clusterKey: newest, highestSequence: 1 });

    await rememberSequence(cluster, 7);
    await rememberNode(cluster, host.sealing);

    expect(await host.localState.read()).toEqual(known);
  });

  it('gives way to the key that a person names, and not where it has become another one since', async () => {
    const { host, cluster } = await makeCluster();
    const before = await host.localState.read();
    const newest = await rotate(host);
    await rememberNode(cluster, host.sealing, { against: before });
    expect((await host.localState.read())?.clusterKey).toBe(newest);

    const { highestMembership } = (await host.localState.read())!;
    await rememberNode(cluster, host.sealing, { against: await host.localState.read() });
    // The high-water mark of memberships stays.
    expect(highestMembership).toBeGreaterThan(1);
    expect(await host.localState.read()).toEqual({ ...before, highestMembership });
  });

  it('is of one cluster: another one is refused, unless a person decided against this one', async () => {
    const [own, other] = [await makeCluster(), await makeCluster()];
    const before = (await own.host.localState.read())!;
    const borrowed = { keyring: other.cluster.keyring, localState: own.host.localState };
    const foreign = { code: 'repository-foreign', message: expect.stringContaining(before.clusterId) as string };
    await expect(rememberNode(borrowed, own.host.sealing)).rejects.toMatchObject(foreign);
    await rememberSequence(borrowed, 5);
    expect(await own.host.localState.read()).toEqual(before);

    const against = { ...before, clusterKey: `sha256:${'A'.repeat(43)}` };
    await rememberNode(borrowed, own.host.sealing, { against });
    expect(await own.host.localState.read()).toMatchObject({
      clusterId: other.cluster.keyring.clusterId,
      highestSequence: 0,
    });
    await expect(openCluster(makeContext(), own.host)).rejects.toMatchObject({ code: 'repository-foreign' });
  });
});
