import { mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { makeDirectories } from './make-directories.ts';

function freshDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'enclave-manager-directories-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

describe('makeDirectories', () => {
  it('makes those above too, each with the mode, and leaves what is there', () => {
    const root = freshDirectory();
    makeDirectories(join(root, 'a/b/c'), 0o700);
    makeDirectories(join(root, 'a/b/c'), 0o711);
    const modes = ['a', 'a/b', 'a/b/c'].map((path) => statSync(join(root, path)).mode & 0o777);
    expect(modes).toEqual([0o700, 0o700, 0o700]);
  });

  it('ends where no directory can be', () => {
    const root = freshDirectory();
    writeFileSync(join(root, 'file'), '');
    symlinkSync(join(root, 'nowhere'), join(root, 'link'));
    expect(() => makeDirectories('/proc/enclave-manager/data', 0o700)).toThrow(/ENOENT.*\/proc\/enclave-manager/);
    expect(() => makeDirectories(join(root, 'file/below'), 0o700)).toThrow(/ENOTDIR/);
    expect(() => makeDirectories(join(root, 'link/below'), 0o700)).toThrow(/ENOENT.*link\/below/);
  });
});
