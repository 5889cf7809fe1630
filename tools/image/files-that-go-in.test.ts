import { describe, expect, it } from 'vitest';
import { isNeeded, runsInProduction } from './files-that-go-in.ts';

describe('what goes into the image', () => {
  it.each(['main.ts', 'store/migrations/001-first.sql', 'store/migrations/checksums.txt', 'enclave-manager.mjs'])(
    'takes %s of ours',
    (path) => expect(runsInProduction(path)).toBe(true),
  );

  it.each([
    'model/retention.test.ts',
    'ports/sealing.contract.ts',
    'adapters/sgx/enclave.fixture.ts',
    'keys/README.md',
  ])('leaves out %s of ours', (path) => expect(runsInProduction(path)).toBe(false));

  it.each([
    'package.json',
    'dist/index.js',
    'dist-cjs/index.cjs',
    'dist/esm/index.mjs',
    'lib/test/worker.js',
    'bin/node',
    'LICENSE',
    'LICENSE.md',
    'docs/NOTICE.txt',
    'native/share/postgresql/timezone/UTC',
    'native/lib/libpq.so.5.18',
    'native/lib/postgresql/plpgsql.so',
    'native/share/postgresql/postgres.bki',
    'native/pg-symlinks.json',
  ])('takes %s of a package', (path) => expect(isNeeded(path)).toBe(true));

  it.each([
    'README.md',
    'index.d.ts',
    'dist/index.js.map',
    'src/index.ts',
    'test/index.js',
    'docs/page.html',
    '.eslintrc',
    'include/node/v8.h',
    'share/man/man1/node.1',
    'native/lib/libpq.a',
    'native/lib/pkgconfig/libpq.pc',
    'dist/inbound-parser.test.js',
  ])('leaves out %s of a package', (path) => expect(isNeeded(path)).toBe(false));
});
