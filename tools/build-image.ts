import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { projectRoot } from './checks/project-files.ts';
import { makeBlobs, packImage } from './image/archive.ts';
import { assembleTree, home } from './image/assemble-tree.ts';
import { makeBase } from './image/base.ts';
import { readRunSettings } from './image/containerfile.ts';
import { readLockedPackages } from './sbom/npm-components.ts';
import { billOfMaterials } from './sbom/bill-of-materials.ts';
import { layerOfFiles, layerOfTar, type Layer } from './image/layer.ts';

/**
 * `npm run image -- --output FILE [--base TAR]`: the image of `image/Containerfile` as an archive, without a container
 * engine, and beside it, as `FILE.cdx.json`, what it is made of. `--base` keeps the Debian below it, which is made where the
 * file is not there yet or was made otherwise. The same base and the same checkout give the same bytes.
 */
const { values } = parseArgs({ options: { output: { type: 'string' }, base: { type: 'string' } } });
if (values.output === undefined) throw new Error('usage: npm run image -- --output FILE [--base TAR]');
const output = resolve(values.output);
const scratch = mkdtempSync(join(tmpdir(), 'enclave-manager-image-'));
try {
  await buildImage(values.base === undefined ? join(scratch, 'base.tar') : resolve(values.base));
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

async function buildImage(base: string): Promise<void> {
  makeBase(base);
  const archive = join(scratch, 'archive');
  const layers = await makeLayers(base, makeBlobs(archive));
  const { version } = JSON.parse(readFileSync(join(projectRoot, 'package.json'), 'utf8')) as { version: string };
  const name = `localhost/enclave-manager:${version}`;
  const settings = readRunSettings(readFileSync(join(projectRoot, 'image/Containerfile'), 'utf8'));
  const architecture = process.arch === 'arm64' ? 'arm64' : 'amd64';
  const partial = `${output}.partial`;
  try {
    const digest = packImage(archive, { name, architecture, settings, layers }, partial);
    renameSync(partial, output);
    process.stdout.write(`${name} ${digest}\n`);
  } finally {
    rmSync(partial, { force: true });
  }
  writeFileSync(`${output}.cdx.json`, billOfMaterials(contentsOf(base)));
  for (const layer of layers) process.stdout.write(`${describe(layer)} ${layer.from}\n`);
  process.stdout.write(`${output}: ${megabytes(statSync(output).size)}\n`);
}

/** What changes with every release is the last and smallest. */
async function makeLayers(base: string, blobs: string) {
  const tree = join(scratch, 'tree');
  assembleTree({ checkout: projectRoot, modules: installDependencies(join(scratch, 'dependencies')) }, tree);
  const modules = `${home}/node_modules`;
  const [debian, dependencies, product] = await Promise.all([
    layerOfTar(blobs, base),
    layerOfFiles(blobs, tree, [modules]),
    layerOfFiles(blobs, tree, ['dev', 'opt', 'usr'], [modules]),
  ]);
  return [
    { ...debian, from: 'Debian, with the packages of image/debian-packages.txt' },
    { ...dependencies, from: 'npm ci --omit=dev' },
    { ...product, from: 'Enclave Manager' },
  ];
}

function contentsOf(base: string) {
  const dpkgStatus = execFileSync('tar', ['-xOf', base, './var/lib/dpkg/status'], {
    encoding: 'utf8',
    maxBuffer: 2 ** 26,
  });
  return { packages: readLockedPackages(projectRoot), cpu: process.arch, dpkgStatus };
}

/** As the Containerfile does: what production needs, for this platform, from the lock file. */
function installDependencies(directory: string): string {
  mkdirSync(directory);
  for (const name of ['package.json', 'package-lock.json', '.npmrc'])
    cpSync(join(projectRoot, name), join(directory, name));
  const { status } = spawnSync('npm', ['ci', '--omit=dev', '--ignore-scripts'], {
    cwd: directory,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  if (status !== 0) throw new Error(`npm ci ended with ${status}`);
  return join(directory, 'node_modules');
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

function describe({ size, uncompressedSize }: Layer): string {
  return `${megabytes(uncompressedSize).padStart(10)}, compressed ${megabytes(size).padStart(9)}:`;
}
