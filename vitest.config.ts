import { defineConfig } from 'vitest/config';

const project = (
  name: string,
  include: string[],
  more: { readonly globalSetup?: string; readonly exclude?: string[] } = {},
) => ({
  extends: true as const,
  test: { name, include, ...more },
});

export default defineConfig({
  test: {
    projects: [
      project('unit', ['src/**/*.test.ts', 'tools/**/*.test.ts', 'bench/**/*.test.ts']),
      project('integration', ['test/**/*.test.ts'], {
        globalSetup: './test/fixtures/object-storage/global-setup.ts',
        exclude: ['test/stores/**', 'test/cockroachdb/**', 'test/image/**', 'test/chart/**'],
      }),
      // With helm only: npm test leaves it out where there is none.
      project('chart', ['test/chart/*.test.ts']),
      // On request: these need programs that are built from source.
      project('stores', ['test/stores/*.test.ts']),
      // On request: this one needs a server that nobody else uses, in COCKROACHDB_URL.
      project('cockroachdb', ['test/cockroachdb/*.test.ts']),
      // On request: this one needs root, and builds what it tests from Debian's packages.
      project('image', ['test/image/*.test.ts']),
    ],
    reporters: ['default', './test/reporter/tally.ts'],
    // Databases, crash points and slow machines: a limit is there to end what hangs, not to measure.
    testTimeout: 120_000,
    hookTimeout: 180_000,
    teardownTimeout: 30_000,
    expect: { poll: { timeout: 60_000 } },
    // Processes, because tests change umask, signal handlers and working directory.
    pool: 'forks',
    maxWorkers: 2,
    coverage: { provider: 'v8', include: ['src/**/*.ts'], exclude: ['src/**/*.test.ts'] },
  },
});
