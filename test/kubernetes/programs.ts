import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';

export interface Ending {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly input?: string | Buffer;
  readonly timeoutMs?: number;
  readonly cwd?: string;
}

const usualLimitMs = 120_000;

/** Runs a program to its end, whatever that is; one that takes too long is killed and its status is null. */
export async function run(
  program: string,
  parameters: readonly string[],
  { input, timeoutMs = usualLimitMs, cwd }: RunOptions = {},
): Promise<Ending> {
  const child = spawn(program, parameters, { cwd, timeout: timeoutMs, killSignal: 'SIGKILL' });
  const failed = once(child, 'error').then(([error]) => {
    throw new Error(`${program} does not start`, { cause: error });
  });
  // One that ends early reads no further.
  child.stdin.on('error', () => {});
  child.stdin.end(input ?? '');
  const ended = Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  const [stdout, stderr, [status]] = await Promise.race([ended, failed]);
  return { status: status as number | null, stdout, stderr };
}

/** What it printed; throws with what it complained about unless it ended well. */
export async function output(
  program: string,
  parameters: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  const { status, stdout, stderr } = await run(program, parameters, options);
  if (status === 0) return stdout;
  const complaint = `${stderr}${stdout}`.trim().slice(-2000);
  throw new Error(`${program} ${parameters.join(' ')} ended with ${status}: ${complaint}`);
}
