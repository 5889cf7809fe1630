import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Release } from './release.ts';

const pauseMs = 12_000;

export interface Deletions {
  /** No more of them; resolves with the names of the pods that were deleted. */
  stop(): Promise<string[]>;
}

/** Deletes a pod of the release now and then; it has a second to finish what it does. */
export function deletePodsMeanwhile(release: Release): Deletions {
  const ending = new AbortController();
  const deleted: string[] = [];
  const deleting = (async () => {
    while (!ending.signal.aborted) {
      const name = await deleteOne(release).catch(() => undefined);
      if (name !== undefined) deleted.push(name);
      await sleep(randomInt(pauseMs / 2, pauseMs), undefined, { signal: ending.signal }).catch(() => {});
    }
  })();
  return {
    stop: async () => {
      ending.abort();
      await deleting;
      return deleted;
    },
  };
}

async function deleteOne(release: Release): Promise<string | undefined> {
  const pods = [...(await release.pods('manager')), ...(await release.pods('cockroachdb'))];
  if (pods.length === 0) return undefined;
  const { name } = pods[randomInt(pods.length)]!.metadata;
  await release.kubectl(['delete', 'pod', name, '--grace-period=1', '--wait=false']);
  return name;
}
