import { projectRoot } from '../../../tools/checks/project-files.ts';
import { askByJob, endOfJob } from '../jobs.ts';
import { output } from '../programs.ts';
import { isReady, type Release, type Values } from '../release.ts';
import { untilCommands } from '../told.ts';
import { startTpm, type Tpm } from '../tpm.ts';
import { until } from '../waiting.ts';
import type { World } from '../world.ts';
import { nextScheduled } from './install.ts';

interface Node {
  readonly nodeId: string;
  readonly sealingProvider: string;
  readonly grade: string;
}

/**
 * A second host with a TPM joins: a release of its own on the database of the first. Its manager waits and says what to
 * type, and serves once that was typed. Then it is evicted, and opens nothing that is backed up after that.
 */
export async function enrolAndEvict(world: World, first: Release, bucket: string): Promise<void> {
  const tpm = await startTpm(world.options.storageAddress!);
  try {
    const release = world.release(first.namespace, 'tpm', await valuesOf(first, tpm));
    await enrol(world, first, release, bucket);
    await evict(world, first, release);
    await release.helm('uninstall', release.name);
  } finally {
    tpm.stop();
  }
}

/** A database of one's own, as the chart sees it: the first release's, with its certificates. */
async function valuesOf(first: Release, tpm: Tpm): Promise<Values> {
  const files = '/run/enclave-manager/database';
  const url =
    `postgres://enclave_manager@${first.database}-public:26257/malbork?sslmode=verify-full&sslrootcert=${files}/ca.crt` +
    `&sslcert=${files}/client.enclave_manager.crt&sslkey=${files}/client.enclave_manager.key`;
  const json = await first.kubectl(['get', 'secret', `${first.database}-certificates`, '-o', 'json']);
  const { data } = JSON.parse(json) as { readonly data: Readonly<Record<string, string>> };
  const names = ['ca.crt', 'client.enclave_manager.crt', 'client.enclave_manager.key'];
  const copied = Object.fromEntries(names.map((name) => [name, data[name]]));
  await createSecret(first, 'shared-database', { stringData: { url }, data: copied });
  return {
    ...first.values,
    'enclaveos-chart.Manager.SoftwareKeySecretName': '',
    'global.Database.UrlSecretName': 'shared-database',
    'enclaveos-chart.Manager.Sealing': 'tpm2',
    'enclaveos-chart.Manager.Tpm.Tcti': tpm.tcti,
    'enclaveos-chart.NetworkPolicy.EgressPorts[0]': '26257',
    'enclaveos-chart.Backup.CronSchedule': '',
    'enclaveos-chart.Backup.DrillSchedule': '',
  };
}

/** By way of standard input: arguments can be seen by every user of this machine. */
async function createSecret(release: Release, name: string, contents: object): Promise<void> {
  const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name }, ...contents };
  await release.kubectl(['create', '-f', '-'], { input: JSON.stringify(secret) });
}

async function enrol(
  { story, storage, hosts }: World,
  first: Release,
  release: Release,
  bucket: string,
): Promise<void> {
  const keyring = (): Promise<string[]> => storage.list(bucket, 'clusters/one/keyring/');
  const before = await keyring();
  await release.install();
  const { reasons, commands } = await untilCommands(release);
  story.say(reasons.join(' '));
  story.check(
    'it names the host that can',
    reasons.join(' ').includes(`Enrolled hosts, by unverified documents: ${hosts[0]}`),
    true,
  );
  const [invite = '', enrolHere = ''] = commands;
  story.check('what invites it', invite.endsWith('-- enclave-manager node invite'), true);
  story.check('ready', (await release.pods('manager')).filter(isReady).length, 0);
  story.check(
    'what it wrote into the keyring',
    (await keyring()).filter((key) => !before.includes(key)),
    [],
  );
  story.check('hosts', (await first.ask<Node[]>('node', 'list')).length, 1);
  const [pod] = await release.pods('manager');
  const host = pod!.spec.nodeName;
  const { hardwareIdentity } = await askByJob<{ readonly hardwareIdentity: string }>(
    story,
    release,
    ['node', 'measure'],
    { host },
  );
  story.say(`Its hardware: ${hardwareIdentity}`);
  const { token } = await first.ask<{ readonly token: string }>('node', 'invite', '--hardware', hardwareIdentity);
  // The machine has the name of its other host, so this one gets another.
  const named = enrolHere.replace('{node,enrol}', `{node,enrol,--node-name,${host}-tpm}`);
  story.say(`$ ${named}`);
  // What a program of ours is given on its standard input is a socket, which nobody can open by name.
  const line = `cat | { ${named}; }`;
  await output('bash', ['-o', 'pipefail', '-c', line], { cwd: projectRoot, input: `${token}\n` });
  const { succeeded, printed } = await endOfJob(release, `${release.name}-enclaveos-node-enrol`);
  story.say(printed.trim());
  story.check('the job that enrols', succeeded, true);
  await release.untilReady('manager');
  const nodes = await first.ask<Node[]>('node', 'list');
  const joined = nodes.find(({ sealingProvider }) => sealingProvider === 'tpm2');
  story.check('hosts', nodes.length, 2);
  story.check('the grade of the new one', joined?.grade, 'tpm2-confirmed');
  story.check('the backups open there', await opensThere({ story }, release, 'latest', host), true);
}

async function evict({ story }: World, first: Release, release: Release): Promise<void> {
  const [pod] = await release.pods('manager');
  const nodes = await first.ask<Node[]>('node', 'list');
  const { nodeId } = nodes.find(({ sealingProvider }) => sealingProvider === 'tpm2')!;
  // A backup may be under way, and only one of them can be.
  const evicted = await until(
    'an eviction',
    180_000,
    async () => await first.ask<{ readonly epoch: number }>('node', 'evict', nodeId, '--yes'),
  );
  story.check('the key epoch after the eviction', evicted.epoch, 2);
  const backup = await nextScheduled(first, new Date().toISOString());
  story.check('hosts', (await first.ask<Node[]>('node', 'list')).length, 1);
  story.check(
    'the next backup opens there',
    await opensThere({ story }, release, backup.id, pod!.spec.nodeName),
    false,
  );
}

async function opensThere(
  { story }: Pick<World, 'story'>,
  release: Release,
  id: string,
  host: string,
): Promise<boolean> {
  const plan = ['restore', 'plan', id];
  return (await askByJob<{ readonly openableHere: boolean }>(story, release, plan, { host })).openableHere;
}
