import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { tryKernelLock } from './kernel-lock.ts';

let directory: string;
beforeEach(() => (directory = mkdtempSync(join(tmpdir(), 'kernel-lock-'))));
afterEach(() => rmSync(directory, { recursive: true }));

/** Takes the lock as the text says, in a process that is then killed. */
function killedWith(text: string): void {
  const { signal } = spawnSync(process.execPath, [
    '--input-type=module',
    '-e',
    `${text}; process.kill(process.pid, 'SIGKILL')`,
  ]);
  expect(signal).toBe('SIGKILL');
}

it('has nothing beside its file, held, given back or left by a process that was killed', () => {
  const path = join(directory, 'a.lock');
  const lock = tryKernelLock(path);
  expect([lock?.isOpen, readdirSync(directory)]).toEqual([true, ['a.lock']]);
  expect(tryKernelLock(path)).toBeUndefined();
  lock?.close();
  const module = resolve(import.meta.dirname, 'kernel-lock.ts');
  killedWith(`if (!(await import('${module}')).tryKernelLock('${path}').isOpen) process.exit(1)`);
  expect(readdirSync(directory)).toEqual(['a.lock']);
});

it('takes away the journal that a killed process of an earlier release left', () => {
  const path = join(directory, 'a.lock');
  killedWith(`const { DatabaseSync } = await import('node:sqlite');
    globalThis.kept = new DatabaseSync('${path}'); kept.exec('BEGIN EXCLUSIVE')`);
  expect(readdirSync(directory)).toEqual(['a.lock', 'a.lock-journal']);
  const lock = tryKernelLock(path);
  expect([lock?.isOpen, readdirSync(directory)]).toEqual([true, ['a.lock']]);
  expect(tryKernelLock(path)).toBeUndefined();
  lock?.close();
});
