import { PassThrough, Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { Clock } from '#ports/clock.ts';
import { defineCommand, type Command } from './command.ts';
import type { Environment } from './environment.ts';
import { runCommandLine, type LoadedAdapters } from './run.ts';

const clock: Clock = { now: () => new Date(0), monotonicMs: () => 0, sleep: async () => {} };

const command = (run: (environment: Environment) => Promise<{ result?: { n: number }; exitCode?: number }>): Command =>
  defineCommand<{ n: number }>({
    noun: 'thing',
    verb: 'do',
    summary: 'does a thing',
    description: 'Does a thing.',
    examples: [],
    failures: [],
    result: (z) => z.object({ n: z.number() }),
    run,
    render: ({ n }) => `it is ${n}\n`,
  });

const collect = (take: (text: string) => void): Writable =>
  new Writable({
    write: (chunk, _, done) => {
      take(String(chunk));
      done();
    },
  });

interface Running {
  readonly environment?: Record<string, string>;
  readonly signal?: AbortSignal;
  readonly untilStopped?: true;
  readonly terminal?: { readonly answer: string };
}

async function runOne(words: string, run: Parameters<typeof command>[0], more: Running = {}) {
  const printed = { stdout: '', stderr: '' };
  const streams = {
    stdin: new PassThrough(),
    stdout: collect((text) => (printed.stdout += text)),
    stderr: collect((text) => (printed.stderr += text)),
  };
  if (more.terminal !== undefined) {
    Object.assign(streams.stdin, { isTTY: true });
    Object.assign(streams.stderr, { isTTY: true });
    streams.stdin.end(more.terminal.answer);
  }
  const exitCode = await runCommandLine([{ ...command(run), ...(more.untilStopped && { untilStopped: true }) }], {
    argv: words.split(' '),
    streams,
    colour: false,
    clock,
    signal: more.signal ?? new AbortController().signal,
    configurationSources: {
      environment: more.environment ?? {},
      workingDirectory: '/',
      hostName: 'h',
      readFile: () => '',
    },
    loadAdapters: async () =>
      ({ adapters: {}, newContext: (parts: object) => ({ ...parts, clock }) }) as unknown as LoadedAdapters,
  });
  return { exitCode, ...printed };
}

const failWith = (error: Error) => async () => {
  throw error;
};

describe('runCommandLine', () => {
  it('prints text for people and one document with --json', async () => {
    const run = async () => ({ result: { n: 7 } });
    expect(await runOne('thing do', run)).toEqual({ exitCode: 0, stdout: 'it is 7\n', stderr: '' });
    const { stdout } = await runOne('thing do --json', run);
    expect(JSON.parse(stdout)).toEqual({ n: 7 });
  });

  it("ends with the result's exit code", async () => {
    expect((await runOne('thing do', async () => ({ result: { n: 0 }, exitCode: 1 }))).exitCode).toBe(1);
  });

  it('says a known failure on stderr, with its hint and exit code', async () => {
    const failure = new EnclaveManagerError('no-space', 'no space is left in /backups', { hint: 'Free some.' });
    expect(await runOne('thing do', failWith(failure))).toEqual({
      exitCode: 16,
      stdout: '',
      stderr: 'Error: no space is left in /backups\nFree some.\n',
    });
  });

  it('says it on stdout as one document with --json', async () => {
    const failure = new EnclaveManagerError('no-space', 'no space is left in /backups', { hint: 'Free some.' });
    const { exitCode, stdout, stderr } = await runOne('thing do --json', failWith(failure));
    expect([exitCode, stderr]).toEqual([16, '']);
    expect(JSON.parse(stdout)).toEqual({
      error: { code: 'no-space', message: 'no space is left in /backups', hint: 'Free some.' },
    });
  });

  it('prints wrong usage as a document too', async () => {
    const { exitCode, stdout } = await runOne('thing undo --json', failWith(new Error('never run')));
    expect([exitCode, JSON.parse(stdout)]).toMatchObject([2, { error: { code: 'usage' } }]);
  });

  it('never prints a stack, except where debugging was asked for', async () => {
    const bug = new TypeError('x is not a function');
    const usual = await runOne('thing do', failWith(bug));
    expect([usual.exitCode, usual.stderr]).toEqual([1, expect.stringContaining('Error: x is not a function')]);
    expect(usual.stderr).not.toContain('    at ');
    const debugging = await runOne('thing do', failWith(bug), { environment: { ENCLAVE_MANAGER_DEBUG: '1' } });
    expect(debugging.stderr).toContain('    at ');
  });

  it('has done its work when a command that runs until it is stopped is stopped, and fails when it fails', async () => {
    const controller = new AbortController();
    const stop = new EnclaveManagerError('terminated', 'terminated by SIGTERM');
    const stopped = async () => {
      controller.abort(stop);
      throw stop;
    };
    const untilStopped = { signal: controller.signal, untilStopped: true } as const;
    expect(await runOne('thing do', stopped, untilStopped)).toEqual({ exitCode: 0, stdout: '', stderr: '' });
    const failing = failWith(new EnclaveManagerError('database-unreachable', 'it is gone'));
    const running = { ...untilStopped, signal: new AbortController().signal };
    expect(await runOne('thing do', failing, running)).toMatchObject({ exitCode: 14 });
  });

  it('takes whatever fails after an interruption as the interruption', async () => {
    const controller = new AbortController();
    const run = async () => {
      controller.abort(new EnclaveManagerError('interrupted', 'interrupted'));
      throw new Error('socket closed');
    };
    expect(await runOne('thing do', run, { signal: controller.signal })).toMatchObject({
      exitCode: 130,
      stderr: expect.stringMatching(/^Error: interrupted\n/),
    });
  });

  it('lets no text from outside steer the terminal', async () => {
    const { stderr } = await runOne(
      'thing do',
      failWith(new EnclaveManagerError('damaged', 'bad \u001b[2Jname\u202e')),
    );
    expect(stderr).toContain('Error: bad ?[2Jname?\n');
  });

  it('refuses to ask where nobody can answer, unless told --yes', async () => {
    const run = async ({ output }: Environment) => {
      await output.confirm('Drops everything\n', 'Really?', new AbortController().signal);
      return { result: { n: 1 } };
    };
    expect(await runOne('thing do', run)).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('--yes') });
    expect(await runOne('thing do --yes', run)).toMatchObject({ exitCode: 0, stderr: 'Drops everything\n' });
  });

  it.each([
    ['y\n', 0],
    ['YES\n', 0],
    ['\n', 130],
    ['no\n', 130],
    ['', 130],
  ])('takes the answer %j on a terminal as exit %i', async (answer, exitCode) => {
    const run = async ({ output }: Environment) => {
      await output.confirm('', 'Really?', new AbortController().signal);
      return { result: { n: 1 } };
    };
    expect((await runOne('thing do', run, { terminal: { answer } })).exitCode).toBe(exitCode);
  });

  it('warns of a variable that has no effect, but not with --quiet', async () => {
    const environment = { ENCLAVE_MANAGER_SIET: 'east' };
    const run = async () => ({ result: { n: 1 } });
    expect((await runOne('thing do', run, { environment })).stderr).toContain('did you mean ENCLAVE_MANAGER_SITE?');
    expect((await runOne('thing do --quiet', run, { environment })).stderr).toBe('');
  });
});
