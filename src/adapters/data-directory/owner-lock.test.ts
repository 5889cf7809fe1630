import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { acquireDataDirectory } from './owner-lock.ts';

function freshDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'enclave-manager-lock-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

it('keeps a second owner out, naming the first, until it is released', () => {
  const directory = join(freshDirectory(), 'data');
  const lock = acquireDataDirectory(directory, 'serve');
  expect(() => acquireDataDirectory(directory, 'backup create')).toThrow(
    expect.objectContaining({
      code: 'data-directory-in-use',
      message: `the data directory ${directory} is in use by process ${process.pid} (serve)`,
    }) as Error,
  );
  lock.release();
  lock.release();
  acquireDataDirectory(directory, 'backup create').release();
  expect(readdirSync(join(directory, 'state'))).toEqual(['owner.lock']);
  expect(statSync(join(directory, 'state')).mode & 0o777).toBe(0o700);
});

it('is given back by the kernel when its process is killed, even while a child of that process lives', async () => {
  const directory = freshDirectory();
  const program = `
    import { spawn } from 'node:child_process';
    import { acquireDataDirectory } from ${JSON.stringify(join(import.meta.dirname, 'owner-lock.ts'))};
    acquireDataDirectory(${JSON.stringify(directory)}, 'serve');
    const child = spawn('sleep', ['600'], { detached: true, stdio: 'ignore' });
    console.log(child.pid);
    setInterval(() => undefined, 1000);`;
  const file = join(directory, 'program.ts');
  writeFileSync(file, program);
  const owner = spawn(process.execPath, [file], { cwd: import.meta.dirname, stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = (await once(owner.stdout, 'data')) as [Buffer];
  onTestFinished(() => void process.kill(Number(line)));
  expect(() => acquireDataDirectory(directory, 'backup create')).toThrow(`process ${owner.pid} (serve)`);
  owner.kill('SIGKILL');
  await once(owner, 'exit');
  acquireDataDirectory(directory, 'backup create').release();
});

it('is kept when its own process asks for it once more', async () => {
  const directory = freshDirectory();
  const lock = acquireDataDirectory(directory, 'serve');
  expect(() => acquireDataDirectory(directory, 'backup create')).toThrow(`process ${process.pid} (serve)`);
  const file = join(directory, 'program.ts');
  writeFileSync(
    file,
    `import { acquireDataDirectory } from ${JSON.stringify(join(import.meta.dirname, 'owner-lock.ts'))};
    acquireDataDirectory(${JSON.stringify(directory)}, 'serve');`,
  );
  const other = spawn(process.execPath, [file], { cwd: import.meta.dirname, stdio: ['ignore', 'inherit', 'pipe'] });
  const said: Buffer[] = [];
  other.stderr.on('data', (chunk: Buffer) => said.push(chunk));
  expect(await once(other, 'close')).toEqual([1, null]);
  expect(Buffer.concat(said).toString()).toContain(`process ${process.pid} (serve)`);
  lock.release();
});

it('does not trust what the holder file says', () => {
  const directory = freshDirectory();
  const lock = acquireDataDirectory(directory, 'serve');
  const holder = join(directory, 'state/owner.lock.holder');
  expect(JSON.parse(readFileSync(holder, 'utf8'))).toEqual({ pid: process.pid, command: 'serve' });
  writeFileSync(holder, '{"pid": "rm -rf"');
  expect(() => acquireDataDirectory(directory, 'serve')).toThrow('is in use by another process');
  lock.release();
});

it('names the directory that cannot be made', () => {
  const file = join(freshDirectory(), 'file');
  writeFileSync(file, '');
  expect(() => acquireDataDirectory(join(file, 'data'), 'serve')).toThrow(
    expect.objectContaining({
      code: 'configuration',
      message: expect.stringContaining(join(file, 'data')) as string,
    }) as Error,
  );
});

it('is not kept where its holder cannot be written', () => {
  const directory = freshDirectory();
  const inTheWay = join(directory, 'state/owner.lock.holder.new');
  mkdirSync(inTheWay, { recursive: true });
  expect(() => acquireDataDirectory(directory, 'serve')).toThrow('owner.lock');
  rmSync(inTheWay, { recursive: true });
  acquireDataDirectory(directory, 'serve').release();
});
