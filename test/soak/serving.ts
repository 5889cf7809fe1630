import { setTimeout as sleep } from 'node:timers/promises';
import type { SoakHost } from './hosts.ts';
import { require, Violation } from './violation.ts';
import type { World } from './world.ts';

const patienceMs = 60_000;

/** Starts a manager and waits until it is up, or waits for a restore, or has refused with one of the codes. */
export async function startServing(world: World, host: SoakHost, refusals: readonly number[], clockOffsetMs = 0) {
  const started = world.start(host, ['serve', '--json'], { clockOffsetMs });
  const pid = started.child.pid!;
  // From here on the machine's check must know it.
  host.serving = { started, pid, address: undefined, stopped: false };
  const up = started.saw(/"address": "([^"]+)"[^]*\n\}\n$|Waiting until it is restored/).catch(() => undefined);
  const seen = await up;
  if (seen !== undefined) {
    host.serving = { started, pid, address: seen[1], stopped: false };
    return;
  }
  host.serving = undefined;
  const result = await started.ended;
  world.judge(['serve'], result, {});
  const { exitCode } = result;
  require(exitCode !== null && refusals.includes(exitCode), () =>
    `serve on ${host.name} ended with ${exitCode} before it was up:\n${result.stdout}${result.stderr}`);
}

/** Ends a manager and holds its end and its output to the contract. */
export async function stopServing(
  world: World,
  host: SoakHost,
  signal: 'SIGTERM' | 'SIGINT' | 'SIGKILL',
): Promise<void> {
  const { serving } = host;
  if (serving === undefined) return;
  if (serving.stopped) serving.started.child.kill('SIGCONT');
  serving.started.child.kill(signal);
  const result = await serving.started.ended;
  host.serving = undefined;
  world.requireNoSecret('serve', `${result.stdout}${result.stderr}`);
  world.journal.note('stopped', { host: host.name, signal, exit: result.exitCode ?? result.signal });
  if (signal === 'SIGKILL') return;
  if (result.exitCode !== 0)
    throw new Violation(
      `serve ended with ${result.exitCode ?? result.signal} on ${signal}:\n${result.stdout}${result.stderr}`,
    );
}

/** Every manager that runs serves the live database; where that is gone, none says that it does. */
export async function requireServing(world: World): Promise<void> {
  for (const host of world.hosts) {
    const { serving } = host;
    if (serving === undefined || serving.stopped || serving.address === undefined) continue;
    const wanted = world.model.live === undefined ? 503 : 200;
    let last = '';
    for (const begunMs = performance.now(); performance.now() - begunMs < patienceMs; await sleep(200)) {
      const answer = await fetch(`${serving.address}/readyz`).catch((error: unknown) => String(error));
      if (typeof answer !== 'string' && answer.status === wanted) return;
      last = typeof answer === 'string' ? answer : `${answer.status} ${await answer.text()}`;
      require(serving.started.child.exitCode === null, () => `serve on ${host.name} ended by itself`);
    }
    throw new Violation(`/readyz of ${host.name} does not say ${wanted}, but ${last}`);
  }
}
