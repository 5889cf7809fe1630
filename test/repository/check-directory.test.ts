import { chmodSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { DirectoryExaminer } from '#adapters/filesystem/directory-examiner.ts';
import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { checkRepository, type RepositoryCheck } from '#operations/check-repository.ts';
import { runCommand } from '../fixtures/command.ts';
import { makeContext, temporaryDirectory } from '../fixtures/host.ts';

async function check(path: string): Promise<RepositoryCheck> {
  const examiner = new DirectoryExaminer(path);
  onTestFinished(() => examiner.close());
  return await checkRepository(makeContext(), examiner);
}

const gradesOf = ({ findings }: RepositoryCheck): Record<string, string> =>
  Object.fromEntries(findings.map(({ topic, grade }) => [topic, grade]));

describe('repository check of a directory', () => {
  it('finds an empty one good and leaves no object behind', async () => {
    const path = join(temporaryDirectory(), 'backups');
    mkdirSync(path, { mode: 0o700 });
    const result = await check(path);
    expect(result).toMatchObject({ ok: true, leftBehind: [] });
    expect(gradesOf(result)).toMatchObject({
      repository: 'good',
      permissions: 'good',
      'put and get': 'good',
      list: 'good',
      'write once': 'good',
      'two writers': 'good',
      clock: 'good',
      delete: 'good',
    });
    expect(readdirSync(path).filter((name) => !name.startsWith('.'))).toEqual([]);
  });

  it('does not make one that is not there', async () => {
    const path = join(temporaryDirectory(), 'backups');
    const result = await check(path);
    expect(result).toMatchObject({ ok: true, speed: null });
    expect(gradesOf(result)['probes']).toBe('notice');
    expect(existsSync(path)).toBe(false);
  });

  it('refuses a file, as every command does', async () => {
    const dataDirectory = temporaryDirectory();
    const file = join(dataDirectory, 'file');
    writeFileSync(file, 'x');
    const env = { ENCLAVE_MANAGER_SEALING: 'software' };
    for (const path of [file, join(file, 'below')]) {
      for (const command of ['repository check', 'backup list', 'restore plan']) {
        const args = [...command.split(' '), '--repository', path, '--json'];
        const { exitCode, stdout } = await runCommand(args, { dataDirectory, env });
        expect(exitCode, stdout).toBe(10);
        expect(JSON.parse(stdout)).toMatchObject({
          error: { code: 'configuration', message: expect.stringContaining(`${path} cannot be a repository`) },
        });
      }
    }
  });

  it('says nothing of listing and deleting where nothing could be put', async () => {
    const path = join(temporaryDirectory(), 'backups');
    mkdirSync(path, { mode: 0o700 });
    const examiner = new DirectoryExaminer(path);
    onTestFinished(() => examiner.close());
    // A full disk: the directory answers everything else.
    const put = vi.spyOn(examiner.store, 'put').mockImplementation((key) => {
      throw new EnclaveManagerError('no-space', `no space left to write ${key} (ENOSPC)`);
    });
    const result = await checkRepository(makeContext(), examiner);
    expect(put).toHaveBeenCalled();
    expect(result).toMatchObject({ ok: false, speed: null });
    const grades = gradesOf(result);
    expect(grades).toMatchObject({ 'put and get': 'bad', 'write once': 'bad', clock: 'bad' });
    expect(Object.keys(grades)).not.toContain('list');
    expect(Object.keys(grades)).not.toContain('delete');
  });

  it('finds others’ files, others’ rights, and a marker that is none', async () => {
    const path = join(temporaryDirectory(), 'backups');
    mkdirSync(path);
    chmodSync(path, 0o755);
    writeFileSync(join(path, 'holiday.jpg'), 'x');
    expect(gradesOf(await check(path))).toMatchObject({ repository: 'bad', permissions: 'notice' });
    writeFileSync(join(path, 'enclave-manager.json'), '{}');
    const result = await check(path);
    expect([result.ok, gradesOf(result)['repository']]).toEqual([false, 'bad']);
  });
});
