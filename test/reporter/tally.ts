import type { Reporter, TestCase, TestModule, TestRunEndReason, Vitest } from 'vitest/node';

interface Tally {
  readonly passed: number;
  readonly failed: number;
  readonly skips: readonly string[];
}

/**
 * Ends the output of a test run with the line `N passed, N failed`, and lists the skipped tests with their reasons
 * above it. Files that do not load, failed hooks, unhandled errors and a global setup that throws count as failed.
 * With `TEST_NO_SKIPS=1` each skipped test counts as failed: nothing may be left out where everything is installed.
 */
export default class TallyReporter implements Reporter {
  private vitest: Vitest | undefined;
  // A run that never reports its end has failed.
  private tally: Tally = { passed: 0, failed: 1, skips: [] };

  onInit(vitest: Vitest): void {
    this.vitest = vitest;
    // The default reporter and a failing global setup write until the very end of the process.
    process.once('exit', (exitCode) => this.conclude(exitCode));
  }

  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[], reason: TestRunEndReason): void {
    const tests = modules.flatMap((module) => [...module.children.allTests()]).filter((test) => this.isSelected(test));
    const skipped = tests.filter((test) => test.result().state === 'skipped');
    const passed = tests.filter((test) => test.result().state === 'passed').length;
    let failed = tests.length - skipped.length - passed;
    for (const module of modules) failed += failuresOutsideTests(module);
    failed += unhandledErrors.length;
    if (process.env['TEST_NO_SKIPS'] === '1') failed += skipped.length;
    if (reason !== 'passed') failed = Math.max(failed, 1);
    this.tally = { passed, failed, skips: skipped.map((test) => describeSkip(test)) };
  }

  /** Tests that a name filter (`-t`) leaves out were not asked for: they are not skips. */
  private isSelected(test: TestCase): boolean {
    const pattern = this.vitest?.getGlobalTestNamePattern();
    return pattern === undefined || pattern.test(test.fullName.replaceAll(' > ', ' '));
  }

  private conclude(exitCode: number): void {
    const { passed, skips } = this.tally;
    const failed = exitCode === 0 ? this.tally.failed : Math.max(this.tally.failed, 1);
    const list = skips.length === 0 ? [] : ['', `${skips.length} skipped:`, ...skips.map((skip) => `  ${skip}`)];
    process.stdout.write([...list, '', `${passed} passed, ${failed} failed`, ''].join('\n'));
    if (failed > 0 && exitCode === 0) process.exitCode = 1;
  }
}

/** Failures that no test case carries: a file that does not load, a failed hook, a file that never came to its end. */
function failuresOutsideTests(module: TestModule): number {
  const failedSuites = [...module.children.allSuites()].filter((suite) => suite.errors().length > 0).length;
  const failedModule = module.errors().length > 0 || ['pending', 'queued'].includes(module.state()) ? 1 : 0;
  return failedSuites + failedModule;
}

function describeSkip(test: TestCase): string {
  const result = test.result();
  const note = result.state === 'skipped' ? result.note : undefined;
  return `${test.module.relativeModuleId}: ${test.fullName}: ${note ?? `no reason given (${test.options.mode})`}`;
}
