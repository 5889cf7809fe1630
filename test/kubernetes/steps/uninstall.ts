import { read } from '../contents.ts';
import type { Release } from '../release.ts';
import { until } from '../waiting.ts';
import type { World } from '../world.ts';

/** Neither the volume of the database nor the bucket goes with the release, and installed again it serves them. */
export async function uninstall({ story, storage }: World, release: Release, bucket: string): Promise<void> {
  const contents = await read(release);
  const objects = await storage.list(bucket, '');
  await release.helm('uninstall', release.name);
  await until('no pod of the release', 180_000, async () => {
    const left = [...(await release.pods('manager')), ...(await release.pods('cockroachdb'))];
    return left.length === 0 ? true : undefined;
  });
  const claims = await release.kubectl(['get', 'pvc', '-o', 'jsonpath={.items[*].metadata.name}']);
  story.check('volumes that stay', claims, `datadir-${release.database}-0`);
  const left = new Set(await storage.list(bucket, ''));
  story.check(
    'objects that are gone from the bucket',
    objects.filter((key) => !left.has(key)),
    [],
  );
  await release.install();
  await release.untilReady('cockroachdb');
  await release.untilReady('manager');
  story.check('installed again, it has the same rows', (await read(release)).join() === contents.join(), true);
}
