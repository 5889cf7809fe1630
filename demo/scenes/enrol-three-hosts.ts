import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { plainStyle } from '#cli/output/style.ts';
import { formatTable } from '#cli/output/table.ts';
import type { Host } from '../host.ts';
import { run, show, type Stage, timed } from '../stage.ts';

export async function enrolThreeHosts(stage: Stage): Promise<void> {
  const { narrator, east, west, west2, steps } = stage;
  narrator.scene('Three hosts in two sites');
  narrator.say('The first host creates the cluster, with an embedded PostgreSQL.');
  narrator.command(east.name, 'serve');
  const { outcome, durationMs } = await timed(() => east.serve());
  narrator.output(`up at ${outcome.address}\ncluster ${outcome.status.clusterId}\nkey ${outcome.status.clusterKey}`);
  steps.push({ what: 'First host up', durationMs, result: 'new cluster, empty database' });
  narrator.say(
    'Two hosts of the other site join. Each needs a token that works once; the running manager answers them.',
  );
  for (const host of [west, west2]) await enrol(stage, host);
  await listNodes(stage);
}

async function enrol(stage: Stage, host: Host): Promise<void> {
  const { narrator, east, directory } = stage;
  narrator.command(east.name, 'node invite');
  const { token } = z.object({ token: z.string() }).parse((await run(east, ['node', 'invite'])).result);
  narrator.output(`${token.slice(0, 16)}... (${token.length} characters, handed over on a trusted way)`);
  const { user, password, host: socketDirectory } = east.connection;
  const passwordFile = join(directory, `database-password-for-${host.name}`);
  writeFileSync(passwordFile, password, { mode: 0o600 });
  const settings = {
    ENCLAVE_MANAGER_DATABASE_URL: `postgres://${user}@/malbork?host=${encodeURIComponent(socketDirectory)}`,
    ENCLAVE_MANAGER_DATABASE_PASSWORD_FILE: passwordFile,
  };
  await show(stage, host, ['node', 'enrol', '--token-file', '-'], { settings, input: token });
}

const nodesSchema = z.array(z.object({ name: z.string(), site: z.string().nullable(), epochs: z.array(z.int()) }));

/** Fewer columns than the command prints, to stay within 80. */
async function listNodes({ narrator, east }: Stage): Promise<void> {
  narrator.command(east.name, 'node list');
  const nodes = nodesSchema.parse((await run(east, ['node', 'list'])).result);
  const table = formatTable(
    [
      { title: 'NAME', cell: ({ name }) => name },
      { title: 'SITE', cell: ({ site }) => site ?? '-' },
      { title: 'OPENS EPOCHS', cell: ({ epochs }) => epochs.join(', ') },
    ],
    nodes,
    plainStyle,
  );
  narrator.output(table);
  if (nodes.length !== 3) throw new Error(`${nodes.length} hosts are enrolled, not 3`);
}
