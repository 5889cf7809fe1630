import { expect, it } from 'vitest';
import { createBackup } from '#operations/create-backup.ts';
import { readNodeProofTimes, readOpenability } from '#operations/read-openability.ts';
import { readCatalog } from '#operations/read-catalog.ts';
import { verifyBackups } from '#operations/verify-backup.ts';
import { makeCluster } from '../fixtures/cluster.ts';
import { enrolHosts } from '../fixtures/hosts.ts';
import { reopen, restoreInto } from '../fixtures/restoring.ts';

it('after a restore the host that ran it has proved itself, and the others as the repository remembers', async () => {
  const { context, host, cluster } = await makeCluster();
  const { id } = await createBackup(context, cluster, { kind: 'manual' });
  const [second, third] = await enrolHosts(host, ['host-b', 'host-c']);
  const { keyring } = await reopen(context, second!);
  await verifyBackups(context, { store: host.store, keyring }, [id]);
  const { verifications } = await readCatalog(host.store, keyring);
  const at = verifications.find(({ nodeId }) => nodeId === keyring.nodeId)?.at;
  const begunAt = context.clock.now().toISOString();

  const restored = await restoreInto(context, host);

  const { provedAt: times } = await readNodeProofTimes(context, restored);
  expect(times.get(keyring.nodeId)).toBe(at);
  expect(times.get(cluster.keyring.nodeId)! >= begunAt).toBe(true);
  const { nodes } = await readOpenability(context, restored, undefined);
  expect(nodes.map(({ name, lastProof }) => [name, lastProof?.epochs])).toEqual([
    ['host-a', [1]],
    ['host-b', [1]],
    ['host-c', undefined],
  ]);
  expect(times.has((await reopen(context, third!)).keyring.nodeId)).toBe(false);
});
