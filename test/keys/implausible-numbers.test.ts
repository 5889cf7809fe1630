import { expect, it } from 'vitest';
import { keyringPath } from '#keys/keyring-paths.ts';
import { createBackup } from '#operations/create-backup.ts';
import { evictNode } from '#operations/evict-node.ts';
import { planEviction } from '#operations/plan-key-change.ts';
import { makeCluster } from '../fixtures/cluster.ts';
import { enrolHosts, withCluster } from '../fixtures/hosts.ts';
import { reopen } from '../fixtures/restoring.ts';

it('a host that signs numbers at the end of their range is evicted all the same', async () => {
  const { context, host } = await makeCluster();
  const [second] = await enrolHosts(host, ['host-b']);
  const last = 2 ** 32 - 1;
  const planted = await withCluster(second!, async ({ keyring }) => {
    const { nodes } = keyring.membership;
    const createdAt = new Date().toISOString();
    const members = { number: last, previous: null, currentEpoch: 1, keyGeneration: 1, nodes, createdAt };
    const path = keyringPath({ type: 'members', number: last });
    const successor = await keyring.newGeneration({ epoch: last, evicted: [], acceptedPast: [] }, context);
    return [...successor, { path, bytes: keyring.sign('members', members) }];
  });
  for (const { path, bytes } of planted) expect(await host.store.put(path, bytes)).toBe('created');

  const opened = await reopen(context, host);
  expect(opened.keyring).toMatchObject({ keyGeneration: 1, newestEpoch: 1, membership: { number: 2 } });
  const rejected = opened.keyring.rejected.map(({ path }) => path);
  expect(rejected).toContain(`keyring/members/${last}.json`);
  expect(rejected).toContain(`keyring/epochs/${last}/epoch.json`);

  const change = await evictNode(context, host, opened, (await planEviction(opened, 'host-b')).node);
  expect(change).toMatchObject({ keyGeneration: 2, epoch: 2, membershipNumber: 4, waitingFor: [] });
  const after = await reopen(context, host);
  expect(after.keyring.membership.nodes.map(({ name }) => name)).toEqual(['host-a']);
  await createBackup(context, after, { kind: 'manual' });
  await expect(withCluster(second!, async () => {})).rejects.toMatchObject({ code: 'not-permitted', exitCode: 40 });
});
