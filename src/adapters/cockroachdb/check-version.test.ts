import { expect, it } from 'vitest';
import { checkVersion, isCockroachdb } from './check-version.ts';

it.each([
  ['CockroachDB CCL v25.2.1 (x86_64-pc-linux-gnu, built 2025/05/28 20:21:35, go1.23.7)', '25.2.1'],
  ['CockroachDB OSS v23.1.0 (aarch64)', '23.1.0'],
  ['CockroachDB CCL v24.1.0-rc.1 (x86_64)', '24.1.0-rc.1'],
])('knows %s', (banner, version) => {
  expect(isCockroachdb({ banner })).toBe(true);
  expect(checkVersion({ banner }, 'x')).toBe(version);
});

it.each(['CockroachDB CCL v22.2.19 (x86_64)', 'CockroachDB CCL v9.9.9 (x86_64)', 'CockroachDB of the future (x)'])(
  'refuses %s',
  (banner) => {
    expect(() => checkVersion({ banner }, 'x')).toThrow(
      expect.objectContaining({
        code: 'version-incompatible',
        message: expect.stringContaining('CockroachDB 23.1') as string,
      }) as Error,
    );
  },
);

it('takes PostgreSQL for something else', () => {
  expect(isCockroachdb({ banner: 'PostgreSQL 18.4 on x86_64' })).toBe(false);
});
