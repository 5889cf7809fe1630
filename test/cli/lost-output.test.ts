import { closeSync, openSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { temporaryDirectory } from '../fixtures/host.ts';

const main = resolve(import.meta.dirname, '../../src/main.ts');

/** Standard output on a device that is always full. */
function onFullDisk(...args: string[]): { exitCode: number | null; stderr: string } {
  const full = openSync('/dev/full', 'w');
  try {
    const { status, stderr } = spawnSync(process.execPath, [main, ...args], {
      stdio: ['ignore', full, 'pipe'],
      encoding: 'utf8',
      env: { PATH: process.env['PATH'], ENCLAVE_MANAGER_DATA_DIR: join(temporaryDirectory(), 'data') },
    });
    return { exitCode: status, stderr };
  } finally {
    closeSync(full);
  }
}

describe('standard output on a full disk', { timeout: 60_000 }, () => {
  it.each([[['config', 'show']], [['config', 'show', '--json']], [['--help']], [['--version']]])(
    'ends %j with 16 and says so on standard error',
    (args) => {
      expect(onFullDisk(...args)).toEqual({
        exitCode: 16,
        stderr: expect.stringContaining('no space is left to write standard output') as string,
      });
    },
  );

  it('does not hide why a command failed', () => {
    expect(onFullDisk('backup', 'list', '--json').exitCode).toBe(3);
  });
});
