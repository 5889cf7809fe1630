/**
 * `node test/kubernetes/database-image/build.ts --base TAR --output FILE`: the image of the Containerfile beside, without a
 * container engine, on a tar of a Debian that has PostgreSQL 15.
 */
import { execFileSync } from 'node:child_process';
import { copyFileSync, cpSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { makeBlobs, packImage } from '../../../tools/image/archive.ts';
import { readRunSettings } from '../../../tools/image/containerfile.ts';
import { layerOfFiles, layerOfTar } from '../../../tools/image/layer.ts';

const { values } = parseArgs({ options: { base: { type: 'string' }, output: { type: 'string' } } });
if (values.base === undefined || values.output === undefined)
  throw new Error('usage: build.ts --base TAR --output FILE');
const [base, output] = [resolve(values.base), resolve(values.output)];
const here = import.meta.dirname;
const scratch = mkdtempSync(join(tmpdir(), 'enclave-manager-database-image-'));
try {
  await build(join(scratch, 'tree'), join(scratch, 'archive'));
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

async function build(tree: string, archive: string): Promise<void> {
  assemble(tree);
  const blobs = makeBlobs(archive);
  const layers = [
    { ...(await layerOfTar(blobs, base)), from: 'Debian with PostgreSQL 15' },
    { ...(await layerOfFiles(blobs, tree, ['cockroach', 'etc', 'opt', 'usr'])), from: 'the stand-in' },
  ];
  const name = 'localhost/enclaveos-database-test:15';
  const architecture = process.arch === 'arm64' ? 'arm64' : 'amd64';
  const settings = readRunSettings(readFileSync(join(here, 'Containerfile'), 'utf8'));
  packImage(archive, { name, architecture, settings, layers }, `${output}.partial`);
  renameSync(`${output}.partial`, output);
  process.stdout.write(`${name}: ${output}\n`);
}

function assemble(tree: string): void {
  for (const directory of ['cockroach', 'etc', 'opt', 'usr/local/bin'])
    mkdirSync(join(tree, directory), { recursive: true });
  cpSync(join(here, 'cockroach'), join(tree, 'cockroach/cockroach'));
  cpSync(join(here, 'stand-in'), join(tree, 'opt/cockroach-stand-in'), { recursive: true });
  cpSync(process.execPath, join(tree, 'usr/local/bin/node'));
  copyLibrary('libatomic.so.1', tree);
  const users = execFileSync('tar', ['-xOf', base, './etc/passwd'], { encoding: 'utf8' });
  writeFileSync(join(tree, 'etc/passwd'), `${users}cockroach:x:1000:1000::/cockroach:/bin/bash\n`);
}

/** Of the libraries that Node wants, this is the one that PostgreSQL does not bring. */
function copyLibrary(name: string, tree: string): void {
  const wanted = execFileSync('ldd', [process.execPath], { encoding: 'utf8' });
  const path = wanted
    .split('\n')
    .find((line) => line.includes(name))
    ?.split(' => ')[1]
    ?.split(' ')[0];
  if (path === undefined) return;
  const to = join(tree, 'usr', path.replace(/^\/usr(?=\/)/, ''));
  mkdirSync(dirname(to), { recursive: true });
  copyFileSync(path, to);
}
