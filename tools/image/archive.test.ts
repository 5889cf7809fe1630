import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { makeBlobs, packImage } from './archive.ts';
import type { RunSettings } from './containerfile.ts';
import { layerOfFiles } from './layer.ts';

const settings: RunSettings = {
  User: '65532:65532',
  ExposedPorts: { '8080/tcp': {} },
  Env: ['A=b'],
  Entrypoint: ['a'],
  Cmd: ['b'],
  WorkingDir: '/',
  Labels: { title: 'small' },
  StopSignal: 'SIGTERM',
};
let scratch = '';
beforeEach(() => (scratch = mkdtempSync(join(tmpdir(), 'enclave-manager-archive-'))));
afterEach(() => rmSync(scratch, { recursive: true, force: true }));

/** The same tree, as two machines would have it: written in another order, at another time, under another umask. */
function makeTree(name: string, files: readonly string[], mode: number, time: Date): string {
  const root = join(scratch, name);
  mkdirSync(join(root, 'opt/inner'), { recursive: true, mode: mode | 0o100 });
  for (const file of files) {
    writeFileSync(join(root, 'opt', file), `content of ${file}`);
    chmodSync(join(root, 'opt', file), file.endsWith('.sh') ? mode | 0o100 : mode);
    utimesSync(join(root, 'opt', file), time, time);
  }
  symlinkSync('inner/b', join(root, 'opt/link'));
  return root;
}

async function pack(root: string, name: string) {
  const directory = join(scratch, `${name}.archive`);
  const layer = await layerOfFiles(makeBlobs(directory), root, ['opt'], ['opt/left-out']);
  const output = join(scratch, `${name}.tar`);
  const parts = {
    name: 'localhost/small:1',
    architecture: 'amd64',
    settings,
    layers: [{ ...layer, from: 'a test' }],
  } as const;
  return { digest: packImage(directory, parts, output), layer, output };
}

it('the same files give the same image, whenever, however and by whomever they were written', async () => {
  const first = await pack(makeTree('a', ['z.sh', 'inner/b', 'Ä'], 0o644, new Date(1e9)), 'a');
  const second = await pack(makeTree('b', ['Ä', 'inner/b', 'z.sh', 'left-out'], 0o600, new Date(2e9)), 'b');
  expect(second.digest).toBe(first.digest);
  expect(readFileSync(second.output).equals(readFileSync(first.output))).toBe(true);
  const third = await pack(makeTree('c', ['z.sh', 'inner/b'], 0o644, new Date(1e9)), 'c');
  expect(third.digest).not.toBe(first.digest);
});

interface Descriptor {
  readonly digest: string;
  readonly size: number;
}

it('an archive is a chain of digests from its index to files that all may read and root alone may change', async () => {
  const { digest, layer, output } = await pack(makeTree('a', ['z.sh', 'inner/b'], 0o600, new Date(1e9)), 'a');
  const read = (path: string): Buffer => execFileSync('tar', ['-xOf', output, path]);
  const blob = (descriptor: Descriptor): Buffer => {
    const bytes = read(`blobs/${descriptor.digest.replace(':', '/')}`);
    const found = { digest: `sha256:${createHash('sha256').update(bytes).digest('hex')}`, size: bytes.length };
    expect(found).toEqual({ digest: descriptor.digest, size: descriptor.size });
    return bytes;
  };
  const parse = (bytes: Buffer): unknown => JSON.parse(bytes.toString('utf8'));
  const [listed] = (parse(read('index.json')) as { manifests: (Descriptor & { annotations: object })[] }).manifests;
  expect(listed?.digest).toBe(digest);
  expect(Object.values(listed?.annotations ?? {})).toEqual(['localhost/small:1', 'localhost/small:1']);
  const manifest = parse(blob(listed!)) as { config: Descriptor; layers: Descriptor[] };
  const config = parse(blob(manifest.config)) as { config: RunSettings; rootfs: { diff_ids: string[] } };
  expect(config.config).toEqual(settings);
  const tar = gunzipSync(blob(manifest.layers[0]!));
  expect(config.rootfs.diff_ids).toEqual([`sha256:${createHash('sha256').update(tar).digest('hex')}`]);
  expect(tar.length).toBe(layer.uncompressedSize);
  const list = execFileSync('tar', ['--utc', '--numeric-owner', '-tvf', '-'], { input: tar, encoding: 'utf8' });
  const rights = [...list.matchAll(/^(\S+) (0\/0) .* (1970-01-01) \S+ (\S+)/gm)].map(([, mode, , , path]) => [
    mode,
    path,
  ]);
  expect(rights).toEqual([
    ['drwxr-xr-x', 'opt/'],
    ['drwxr-xr-x', 'opt/inner/'],
    ['-rw-r--r--', 'opt/inner/b'],
    ['lrwxr-xr-x', 'opt/link'],
    ['-rwxr-xr-x', 'opt/z.sh'],
  ]);
});
