import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot } from '../checks/project-files.ts';

const suite = 'bookworm';

/**
 * Makes the Debian under the image where no container engine can fetch one: a tar at `output`, from the packages and by
 * the script that the Containerfile uses. Needs root and mmdebstrap. One that is there already is used as it is.
 */
export function makeBase(output: string): void {
  if (existsSync(output)) return;
  const packages = readFileSync(join(projectRoot, 'image/debian-packages.txt'), 'utf8').trim().split('\n');
  const partial = `${output}.partial.tar`;
  const script = join(projectRoot, 'image/prepare-base.sh');
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
  const options = [
    '--quiet',
    '--mode=root',
    '--variant=minbase',
    '--format=tar',
    // An engine makes the devices of a container.
    '--skip=output/dev',
    '--aptopt=APT::Install-Recommends "false"',
  ];
  const include = `--include=${[...packages, 'usr-is-merged'].join(',')}`;
  const parameters = [...options, include, ...hooks.map((hook) => `--customize-hook=${hook}`), suite, partial];
  const { status, error } = spawnSync('mmdebstrap', parameters, {
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, SOURCE_DATE_EPOCH: '0' },
  });
  if (error !== undefined) throw new Error('mmdebstrap does not start: apt-get install mmdebstrap', { cause: error });
  if (status !== 0) throw new Error(`mmdebstrap ended with ${status}; it needs root and a Debian mirror`);
  renameSync(partial, output);
}
