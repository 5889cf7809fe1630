import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';

const vitest = join(dirname(createRequire(import.meta.url).resolve('vitest/package.json')), 'vitest.mjs');
const config = join(import.meta.dirname, 'fixtures/vitest.config.ts');

function runFixture(name: string, env: Record<string, string> = {}) {
  const { status, stdout } = spawnSync(process.execPath, [vitest, 'run', '--config', config, ...args(name)], {
    encoding: 'utf8',
    env: { ...withoutVitest(process.env), TEST_NO_SKIPS: '0', NO_COLOR: '1', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  return { status, stdout, lines: stdout.split('\n'), lastLine: stdout.trimEnd().split('\n').at(-1) };
}

const args = (name: string): string[] => (name === '' ? [] : name.split(' '));

/** A child must not take itself for a worker of the run that starts it. */
function withoutVitest(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(env).filter(([name]) => !/^(VITEST|NODE_ENV|TEST$|FORCE_COLOR|TINYPOOL)/.test(name)),
  );
}

describe('the closing line', () => {
  it('counts what passed and ends with status 0', () => {
    const run = runFixture('passes');
    expect(run.stdout.endsWith('\n2 passed, 0 failed\n')).toBe(true);
    expect(run.status).toBe(0);
  });

  it('counts a failed test and ends with status 1', () => {
    expect(runFixture('fails')).toMatchObject({ lastLine: '1 passed, 1 failed', status: 1 });
  });

  it('counts a file that does not load as failed', () => {
    expect(runFixture('does-not-load')).toMatchObject({ lastLine: '0 passed, 1 failed', status: 1 });
  });

  it('counts a failed hook as failed and lists the tests that never ran', () => {
    const run = runFixture('broken-hook');
    expect(run).toMatchObject({ lastLine: '0 passed, 1 failed', status: 1 });
    expect(run.stdout).toContain('broken-hook.fixture.ts: with a hook that fails > never runs: ');
  });

  it('counts an unhandled error as failed', () => {
    expect(runFixture('unhandled')).toMatchObject({ lastLine: '1 passed, 1 failed', status: 1 });
  });

  it('counts a worker that died as failed', () => {
    const run = runFixture('worker-dies');
    expect(run.lastLine).toMatch(/^0 passed, [1-9] failed$/);
    expect(run.status).toBe(1);
  });

  it('counts a global setup that throws as failed', () => {
    const run = runFixture('passes', { FIXTURE_GLOBAL_SETUP: 'throw' });
    expect(run).toMatchObject({ lastLine: '0 passed, 1 failed', status: 1 });
  });

  it('counts a run that finds no tests as failed', () => {
    expect(runFixture('no-such-file')).toMatchObject({ lastLine: '0 passed, 1 failed', status: 1 });
  });
});

describe('skipped tests', () => {
  it('are listed with file, name and reason above a closing line that does not count them', () => {
    const run = runFixture('skips');
    expect(run).toMatchObject({ lastLine: '1 passed, 0 failed', status: 0 });
    expect(run.lines.slice(-6)).toEqual([
      '2 skipped:',
      '  skips.fixture.ts: a suite > needs a package: install postgresql-15',
      '  skips.fixture.ts: is switched off: no reason given (skip)',
      '',
      '1 passed, 0 failed',
      '',
    ]);
  });

  it('count as failed where none is allowed', () => {
    expect(runFixture('skips', { TEST_NO_SKIPS: '1' })).toMatchObject({ lastLine: '1 passed, 2 failed', status: 1 });
  });

  it('are not the tests that a name filter leaves out', () => {
    const run = runFixture('skips -t runs', { TEST_NO_SKIPS: '1' });
    expect(run).toMatchObject({ lastLine: '1 passed, 0 failed', status: 0 });
    expect(run.stdout).not.toContain('skipped:');
  });
});
