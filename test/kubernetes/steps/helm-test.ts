import type { Release } from '../release.ts';
import type { World } from '../world.ts';

interface Hook {
  readonly name: string;
  readonly events: readonly string[];
  readonly last_run: { readonly phase: string };
}

/** Each test of the chart, by what Helm noted of its last run. */
export async function helmTest({ story }: World, release: Release): Promise<void> {
  await release.helm('test', release.name, '--timeout', '4m');
  const { hooks } = JSON.parse(await release.helm('status', release.name, '-o', 'json')) as { hooks: Hook[] };
  const tests = hooks.filter(({ events }) => events.includes('test'));
  const names = tests.map(({ name }) => name.replace(`${release.name}-enclaveos-test-`, '')).toSorted();
  story.check('tests', names, ['bucket', 'database', 'last-backup', 'sealing']);
  story.check('that passed', tests.filter(({ last_run: run }) => run.phase === 'Succeeded').length, tests.length);
}
