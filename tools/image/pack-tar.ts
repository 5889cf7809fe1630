import { spawnSync } from 'node:child_process';

/** Owner, time, order and rights are the same wherever the files were written. GNU tar. */
export const sameEverywhere = [
  '--sort=name',
  '--mtime=@0',
  '--owner=0',
  '--group=0',
  '--numeric-owner',
  '--format=gnu',
  '--hard-dereference',
  '--mode=u+rw,go=rX',
];

/** The environment in which `tar` sorts bytes, not letters of some language. */
export const tarEnvironment = (): NodeJS.ProcessEnv => ({ ...process.env, LC_ALL: 'C' });

export function packTar(root: string, paths: readonly string[], output: string): void {
  const parameters = [...sameEverywhere, '-C', root, '-cf', output, ...paths];
  const { status, stderr } = spawnSync('tar', parameters, { encoding: 'utf8', env: tarEnvironment() });
  if (status !== 0) throw new Error(`tar to ${output} ended with ${status}: ${stderr}`);
}
