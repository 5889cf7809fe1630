import { expect, it } from 'vitest';
import { checkVersion } from './check-version.ts';

it.each([
  ['PostgreSQL 15.14 (Debian 15.14-0+deb12u1) on x86_64', '15.14 (Debian 15.14-0+deb12u1)', '150014', '15.14'],
  ['PostgreSQL 18.4 on x86_64', '18.4', '180004', '18.4'],
])('accepts %s', (banner, version, versionNumber, short) => {
  expect(checkVersion({ banner, version, versionNumber }, 'x')).toBe(short);
});

it.each([
  ['PostgreSQL 14.19 on x86_64', '14.19', '140019'],
  ['PostgreSQL 19.0 on x86_64', '19.0', '190000'],
  ['CockroachDB CCL v25.2.1 (x86_64)', '13.0.0', '130000'],
  ['CockroachDB CCL v99.1.0 (x86_64)', '16.0.0', '160000'],
])('refuses %s by its name', (banner, version, versionNumber) => {
  expect(() => checkVersion({ banner, version, versionNumber }, 'x')).toThrow(
    expect.objectContaining({
      code: 'version-incompatible',
      message: expect.stringContaining(banner.split(' on ')[0]!) as string,
    }) as Error,
  );
});
