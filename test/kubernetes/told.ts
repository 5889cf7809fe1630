import type { Release } from './release.ts';
import { until } from './waiting.ts';

/** What a manager that does not serve tells by its readiness probe, once it is what is waited for: `kubectl describe pod` shows it. */
export async function untilTold(release: Release, what: RegExp): Promise<string> {
  return await until(`${release.managers} tells ${what}`, 120_000, async () => {
    const [pod] = await release.pods('manager');
    if (pod === undefined) return undefined;
    const fields = `involvedObject.name=${pod.metadata.name},reason=Unhealthy`;
    const parameters = ['get', 'events', '--field-selector', fields, '-o', 'jsonpath={.items[*].message}'];
    const messages = await release.kubectl(parameters);
    return what.exec(messages)?.[0];
  });
}
