import { nextScheduled } from './install.ts';
import type { Release } from '../release.ts';
import { until } from '../waiting.ts';
import type { World } from '../world.ts';

/** The secret is given another key; the running managers read it from there, and the old key is refused. */
export async function rotateCredentials(world: World, release: Release): Promise<void> {
  const { story } = world;
  const before = await release.containers('manager');
  const { account, refuseOld } = await world.storage.replaceKey();
  await world.replaceCredentials(release.namespace, account);
  // Kubernetes brings a changed secret into its pods within a minute or two.
  await until('the new key in the pod', 240_000, async () => {
    const file = '/run/enclave-manager/s3/AWS_ACCESS_KEY_ID';
    const words = ['exec', `deploy/${release.managers}`, '-c', 'manager', '--', 'cat', file];
    return (await release.kubectl(words)).trim() === account.accessKeyId ? true : undefined;
  });
  await refuseOld?.();
  const refused = refuseOld !== undefined;
  story.say(
    refused ? 'The old key is refused from here on' : 'The old key stays valid here: which one is used is not seen',
  );
  const backup = await nextScheduled(release, new Date().toISOString());
  story.check('a backup by the new key is', backup.authentic, true);
  const after = await release.containers('manager');
  story.check('the managers are the same pods', after, before);
}
