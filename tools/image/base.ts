import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot } from '../checks/project-files.ts';

const suite = 'bookworm';

/**
 * Makes the Debian under the image where no container engine can fetch one: a tar at `output`, from the packages and by
 * the script that the Containerfile uses. Needs root and mmdebstrap. One that is there already is used as it is, unless it
 * was made from other packages or by another script.
 */
export function makeBase(output: string, env: NodeJS.ProcessEnv = process.env): void {
  const recipePath = `${output}.recipe`;
  const recipe = baseRecipe();
  if (existsSync(output) && existsSync(recipePath) && readFileSync(recipePath, 'utf8') === recipe) return;
  const partial = `${output}.${process.pid}.partial`;
  try {
    runMmdebstrap(partial, env);
    rmSync(recipePath, { force: true });
    renameSync(partial, output);
    writeFileSync(recipePath, recipe);
  } finally {
    rmSync(partial, { force: true });
  }
}

/** Changes with everything that the base is made from, but Debian's own updates. */
export function baseRecipe(): string {
  const script = readFileSync(join(projectRoot, 'image/prepare-base.sh'), 'utf8');
  return createHash('sha256')
    .update(JSON.stringify([parameters('SCRIPT'), script]))
    .digest('hex');
}

function runMmdebstrap(output: string, env: NodeJS.ProcessEnv): void {
  const script = join(projectRoot, 'image/prepare-base.sh');
  const { status, error } = spawnSync('mmdebstrap', [...parameters(script), suite, output], {
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...env, SOURCE_DATE_EPOCH: '0' },
  });
  if (error !== undefined) throw new Error('mmdebstrap does not start: apt-get install mmdebstrap', { cause: error });
  if (status !== 0) throw new Error(`mmdebstrap ended with ${status}; it needs root and a Debian mirror`);
}

function parameters(script: string): string[] {
  const packages = readFileSync(join(projectRoot, 'image/debian-packages.txt'), 'utf8').trim().split('\n');
  const hooks = [
    // It brings Perl, and has nothing to do where nothing has to be merged: as in Debian's own images.
    'chroot "$1" dpkg --purge usrmerge libfile-find-rule-perl libnumber-compare-perl libtext-glob-perl',
    'chroot "$1" dpkg --purge perl libperl5.36 perl-modules-5.36 libgdbm-compat4 libgdbm6',
    `copy-in ${script} /tmp`,
    'chroot "$1" sh /tmp/prepare-base.sh',
    // Names of this machine and its mirrors, which mmdebstrap put there.
    'rm -f "$1"/tmp/prepare-base.sh "$1"/etc/resolv.conf "$1"/etc/hostname "$1"/etc/apt/apt.conf.d/99mmdebstrap',
    `echo 'deb http://deb.debian.org/debian ${suite} main' >"$1"/etc/apt/sources.list`,
  ];
  return [
    '--quiet',
    '--mode=root',
    '--variant=minbase',
    '--format=tar',
    // An engine makes the devices of a container.
    '--skip=output/dev',
    '--aptopt=APT::Install-Recommends "false"',
    `--include=${[...packages, 'usr-is-merged'].join(',')}`,
    ...hooks.map((hook) => `--customize-hook=${hook}`),
  ];
}
