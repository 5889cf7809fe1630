import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { baseRecipe, makeBase } from './base.ts';

it('a base is made where there is none, or one by another recipe, and otherwise used as it is', () => {
  const directory = mkdtempSync(join(tmpdir(), 'enclave-manager-base-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const base = join(directory, 'base.tar');
  const make = (): void => makeBase(base, { PATH: '/nowhere' });
  expect(make).toThrow('mmdebstrap does not start');
  writeFileSync(base, 'of unknown recipe');
  expect(make).toThrow('mmdebstrap does not start');
  writeFileSync(`${base}.recipe`, 'of another recipe');
  expect(make).toThrow('mmdebstrap does not start');
  writeFileSync(`${base}.recipe`, baseRecipe());
  expect(make).not.toThrow();
  expect(existsSync(base)).toBe(true);
  expect(readdirSync(directory).toSorted()).toEqual(['base.tar', 'base.tar.recipe']);
});
