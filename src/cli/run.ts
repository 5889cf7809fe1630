import { EnclaveManagerError, isEnclaveManagerError, toEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { inspectConfiguration } from '#config/configuration.ts';
import type { ConfigurationSources } from '#config/settings.ts';
import type { OperationContext } from '#operations/context.ts';
import type { Clock } from '#ports/clock.ts';
import type { Progress } from '#ports/progress.ts';
import { type Command, commandName } from './command.ts';
import { type Adapters, Environment } from './environment.ts';
import { LostOutput } from './output/lost-output.ts';
import { Output, type Streams } from './output/output.ts';
import type { Spelling } from './output/program-name.ts';
import { type CommonFlags, parseCommandLine, type Request } from './program.ts';

/** The process as the command line sees it; `main.ts` passes the real one, tests their own. */
export interface Process {
  /** Words after the program's name. */
  readonly argv: readonly string[];
  readonly streams: Streams;
  /** How to start the program again; see `output/program-name.ts`. */
  readonly spelling?: Spelling;
  readonly colour: boolean;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly configurationSources: Omit<ConfigurationSources, 'flags'>;
  /** Loads and makes the adapters: not needed for help, so not loaded for it. */
  loadAdapters(command: string): Promise<LoadedAdapters>;
}

export interface LoadedAdapters {
  readonly adapters: Adapters;
  newContext(parts: { readonly progress: Progress; readonly signal: AbortSignal }): OperationContext;
}

/** How a command line ended; `failed`: with an error, which has been told. */
interface End {
  readonly exitCode: number;
  readonly failed: boolean;
}

/** Runs one command line and resolves with the exit code. Never rejects, never exits. */
export async function runCommandLine(commands: readonly Command[], process: Process): Promise<number> {
  const lost = new LostOutput(process.streams);
  const { exitCode, failed } = await runRequest(commands, process);
  const lack = await lost.find();
  if (lack === undefined || failed) return exitCode;
  // Not as a document: that would be lost as well.
  newOutput(process, { json: false, quiet: false, phases: false, yes: false }).failure(lack);
  return lack.exitCode;
}

async function runRequest(commands: readonly Command[], process: Process): Promise<End> {
  let request: Request;
  try {
    request = parseCommandLine(commands, process.argv);
  } catch (error) {
    return fail(
      newOutput(process, { json: process.argv.includes('--json'), quiet: false, phases: false, yes: false }),
      error,
      process,
    );
  }
  if (request.kind === 'print') {
    process.streams.stdout.write(request.text);
    return { exitCode: 0, failed: false };
  }
  const output = newOutput(process, request.flags);
  try {
    return { exitCode: await runCommand(request, output, process), failed: false };
  } catch (error) {
    const isStop = request.command.untilStopped === true && process.signal.aborted && error === process.signal.reason;
    return isStop ? { exitCode: 0, failed: false } : fail(output, error, process);
  }
}

async function runCommand(request: Request & { kind: 'run' }, output: Output, process: Process): Promise<number> {
  const { command, input, flags } = request;
  const inspected = inspectConfiguration({ ...process.configurationSources, flags: flags.settings });
  for (const warning of inspected.warnings) output.warn(warning);
  process.signal.throwIfAborted();
  const { adapters, newContext } = await process.loadAdapters(commandName(command));
  const context = newContext({ progress: output.progress, signal: process.signal });
  const environment = new Environment({ inspected, output, context, adapters });
  try {
    const outcome = await command.run(environment, input);
    output.progress.end();
    return print(command, outcome, output);
  } finally {
    await environment.close();
  }
}

function print(
  command: Command,
  outcome: { readonly result?: unknown; readonly text?: string; readonly exitCode?: number },
  output: Output,
): number {
  if (outcome.result !== undefined) {
    if (output.options.json) output.document(outcome.result);
    else output.text(outcome.text ?? command.render(outcome.result, output.style));
  }
  return outcome.exitCode ?? 0;
}

function newOutput(
  { streams, colour, spelling, clock }: Process,
  { json, quiet, phases, yes }: Omit<CommonFlags, 'settings'>,
): Output {
  const options = { json, quiet, phases, yes, colour, ...(spelling === undefined ? {} : { spelling }) };
  return new Output(streams, options, clock);
}

/** What was interrupted may fail with anything; the cause is the interruption. */
function fail(output: Output, error: unknown, process: Process): End {
  const cause: unknown = process.signal.aborted && !isEnclaveManagerError(error) ? process.signal.reason : error;
  const failure = toEnclaveManagerError(cause);
  output.failure(failure);
  if (failure.code === 'unexpected' && process.configurationSources.environment['ENCLAVE_MANAGER_DEBUG'] === '1') {
    process.streams.stderr.write(`${stackOf(cause)}\n`);
  }
  return { exitCode: failure.exitCode, failed: true };
}

function stackOf(error: unknown): string {
  if (error instanceof EnclaveManagerError && error.cause instanceof Error)
    return error.cause.stack ?? error.cause.message;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
