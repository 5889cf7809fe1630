/** `npm run test:kubernetes`: see README.md. Works on the cluster of KUBECONFIG. */
import { parseOptions } from './options.ts';
import { openStorage } from './storage.ts';
import { Story } from './story.ts';
import { tell } from './tell.ts';
import { findHosts, World } from './world.ts';

const options = parseOptions(process.argv.slice(2));
const story = new Story(
  (text) => process.stdout.write(text),
  () => performance.now(),
);
const storage = await openStorage(options);
const world = new World(story, options, storage, await findHosts());
try {
  await tell(world);
} catch (error) {
  process.stdout.write(`\n${explain(error)}\n`);
} finally {
  if (!options.keep) await world.cleanUp().catch((error: unknown) => process.stdout.write(`${explain(error)}\n`));
  await storage.stop();
}
process.stdout.write(`\n${story.passed} passed, ${story.failed} failed\n`);
process.exitCode = story.failed === 0 ? 0 : 1;

function explain(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined ? (error.stack ?? error.message) : `${error.message}\n${explain(error.cause)}`;
}
