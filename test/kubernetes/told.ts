import type { Release } from './release.ts';
import { until } from './waiting.ts';

const limitMs = 120_000;

/** What a manager that does not serve tells by its readiness probe, once it is what is waited for: `kubectl describe pod` shows it. */
export async function untilTold(release: Release, what: RegExp): Promise<string> {
  return await until(`${release.managers} tells ${what}`, limitMs, async () => what.exec(await told(release))?.[0]);
}

interface NotReady {
  readonly reasons: readonly string[];
  readonly commands: readonly string[];
}

/** Why it does not serve, and the commands that it tells whoever reads its events to type. */
export async function untilCommands(release: Release): Promise<NotReady> {
  return await until(`${release.managers} names commands`, limitMs, async () => {
    const answers = (await told(release)).match(/^[^{]*\{"ready":false.*\}$/gm) ?? [];
    for (const answer of answers.toReversed()) {
      const { reasons, commands } = JSON.parse(answer.slice(answer.indexOf('{'))) as Partial<NotReady>;
      // One that is still starting names none.
      if (reasons !== undefined && commands !== undefined && commands.length > 0) return { reasons, commands };
    }
    return undefined;
  });
}

async function told(release: Release): Promise<string> {
  const [pod] = await release.pods('manager');
  if (pod === undefined) return '';
  const fields = `involvedObject.name=${pod.metadata.name},reason=Unhealthy`;
  const messages = 'jsonpath={range .items[*]}{.message}{"\\n"}{end}';
  return await release.kubectl(['get', 'events', '--field-selector', fields, '-o', messages]);
}
