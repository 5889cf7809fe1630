import { expect, it } from 'vitest';
import { missingRootTests } from './root-tests.ts';

const check = (script: string): string[] =>
  missingRootTests([
    { path: 'package.json', text: JSON.stringify({ scripts: { 'test:as-root': script } }) },
    { path: 'test/restore/circle.test.ts', text: '' },
  ]).map(({ what }) => what);

it('the tests that run as root exist', () => {
  expect(check('vitest run test/restore/circle')).toEqual([]);
  expect(check('vitest run test/restore/circle test/gone')).toEqual(['test:as-root names test/gone, where no test is']);
  expect(check('vitest run')).toEqual(['test:as-root names no tests']);
});
