import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { productVersion } from './product.ts';

it('the version in manifests is the version of the package', () => {
  const read = (file: string) =>
    JSON.parse(readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8')) as { version: string };
  expect(productVersion).toBe(read('package.json').version);
  expect(productVersion).toBe(read('package-lock.json').version);
});
