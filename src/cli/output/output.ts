import { createInterface } from 'node:readline/promises';
import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { errnoName, fromFileSystemError } from '#errors/file-system-error.ts';
import type { ByteSink } from '#ports/byte-sink.ts';
import type { Clock } from '#ports/clock.ts';
import type { Progress } from '#ports/progress.ts';
import { type Spelling, spellCommands } from './program-name.ts';
import { ProgressPhases } from './progress-phases.ts';
import { ProgressBar, ProgressLines, ProgressNotes, silentProgress } from './progress.ts';
import { colourStyle, plainStyle, printable, printableLines, type Style } from './style.ts';
import { wrapLines } from './wrap-lines.ts';

/** The streams of the process; tests pass their own. */
export interface Streams {
  readonly stdin: NodeJS.ReadableStream & { readonly isTTY?: boolean };
  readonly stdout: Printed;
  readonly stderr: Printed;
}

type Printed = NodeJS.WritableStream & { readonly isTTY?: boolean; readonly columns?: number };

export interface OutputOptions {
  readonly json: boolean;
  readonly quiet: boolean;
  /** Lines of JSON about each phase instead of any other progress. */
  readonly phases: boolean;
  /** Answers every question with yes. */
  readonly yes: boolean;
  /** Whether a terminal may be sent colours, and the other control characters, which draw a line again. */
  readonly colour: boolean;
  /** How the reader starts the program; the texts say `enclave-manager`. */
  readonly spelling?: Spelling;
}

const asItIs: Spelling = { program: 'enclave-manager', here: 'enclave-manager' };

/** Data goes to stdout, everything else to stderr; with `--json` stdout holds one document. */
export class Output {
  readonly options: OutputOptions;
  readonly progress: Progress;
  readonly #streams: Streams;

  constructor(streams: Streams, options: OutputOptions, clock: Clock) {
    this.#streams = streams;
    this.options = options;
    this.progress = this.#newProgress(clock);
  }

  #newProgress(clock: Clock): Progress {
    const write = (text: string) => void this.#streams.stderr.write(text);
    if (this.options.phases) return new ProgressPhases(write, clock);
    if (this.options.quiet) return silentProgress;
    if (this.options.json) return new ProgressNotes(write);
    const { stderr } = this.#streams;
    const fit = (text: string) => this.#fit(stderr, text);
    if (!this.#steersTerminal(stderr)) return new ProgressLines(write, clock, fit);
    return new ProgressBar(write, clock, () => columnsOf(stderr), fit);
  }

  /** For what goes to stdout. */
  get style(): Style {
    return this.#steersTerminal(this.#streams.stdout) ? colourStyle : plainStyle;
  }

  get #errorStyle(): Style {
    return this.#steersTerminal(this.#streams.stderr) ? colourStyle : plainStyle;
  }

  #steersTerminal(stream: { readonly isTTY?: boolean }): boolean {
    return this.options.colour && stream.isTTY === true;
  }

  document(value: unknown): void {
    this.#streams.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
  }

  text(text: string): void {
    const { stdout } = this.#streams;
    stdout.write(this.#fit(stdout, this.#spell(text)));
  }

  /** As wide as the terminal; a file has no width. */
  #fit(stream: Printed, text: string): string {
    if (stream.isTTY !== true) return text;
    const { program, here, enrol } = this.options.spelling ?? asItIs;
    return wrapLines(text, columnsOf(stream), [program, here, ...(enrol === undefined ? [] : [enrol])]);
  }

  #spell(text: string): string {
    return spellCommands(text, this.options.spelling ?? asItIs);
  }

  /** Standard output for data of any size; `usage` on a terminal, unless that is what was asked for. */
  dataSink(options: { readonly onTerminal: boolean }): ByteSink {
    const { stdout } = this.#streams;
    if (stdout.isTTY === true && !options.onTerminal) {
      throw new EnclaveManagerError('usage', 'this would print all of it on the terminal', {
        hint: 'Name a file: --output FILE. Or redirect it; --output - prints it here all the same.',
      });
    }
    return { write: (bytes) => writeAll(stdout, bytes) };
  }

  /** A line beside the data. */
  note(message: string): void {
    if (!this.options.quiet) this.#tell(printableLines(this.#spell(message)));
  }

  warn(message: string): void {
    if (!this.options.quiet) this.#tell(`${this.#errorStyle.warn('Warning:')} ${printableLines(message)}`);
  }

  failure(error: EnclaveManagerError): void {
    this.progress.end();
    const hint = this.#spell(error.hint);
    if (this.options.json) {
      this.document({ error: { code: error.code, message: error.message, hint } });
      return;
    }
    this.#tell(`${this.#errorStyle.bad('Error:')} ${printableLines(error.message)}`);
    if (hint !== '') this.#tell(printableLines(hint));
  }

  #tell(text: string): void {
    const { stderr } = this.#streams;
    stderr.write(`${this.#fit(stderr, text)}\n`);
  }

  /** Throws `usage` where a question could neither be asked nor is answered by `--yes`; for before the work begins. */
  requireTerminal(): void {
    const { stdin, stderr } = this.#streams;
    if (this.options.yes || (stdin.isTTY === true && stderr.isTTY === true)) return;
    throw new EnclaveManagerError('usage', 'this asks before it changes anything, and there is no terminal to ask on', {
      hint: 'Add --yes if you mean it.',
    });
  }

  showPlan(plan: string): void {
    this.progress.end();
    const { stderr } = this.#streams;
    if (!this.options.json) stderr.write(this.#fit(stderr, printableLines(plan)));
  }

  /**
   * Shows what is about to happen and asks. No → `interrupted`; nobody to ask and no `--yes` → `usage`.
   */
  async confirm(plan: string, question: string, signal: AbortSignal): Promise<void> {
    this.showPlan(plan);
    const { stdin, stderr } = this.#streams;
    if (this.options.yes) return;
    this.requireTerminal();
    const answer = await ask(stdin, stderr, `${printable(question)} [y/N] `, signal);
    if (!/^y(es)?$/i.test(answer.trim())) {
      throw new EnclaveManagerError('interrupted', 'declined; nothing was changed', {
        hint: 'Run the command again when you are ready.',
      });
    }
  }
}

const columnsOf = ({ columns }: Printed): number => columns || 80;

/** Resolves when the stream took it, so that no more than one piece is ever waiting. */
async function writeAll(stream: NodeJS.WritableStream, bytes: Uint8Array): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  stream.write(bytes, (error) => (error ? reject(error) : resolve()));
  try {
    await promise;
  } catch (error) {
    throw fromStreamError(error);
  }
}

function fromStreamError(error: unknown): unknown {
  if (!['EPIPE', 'ERR_STREAM_DESTROYED'].includes(errnoName(error) ?? ''))
    return fromFileSystemError(error, 'standard output');
  return new EnclaveManagerError('interrupted', 'whoever read standard output left before its end', {
    hint: 'What it has read is not complete. Run the command again.',
    cause: error,
  });
}

async function ask(
  input: NodeJS.ReadableStream,
  output: NodeJS.WritableStream,
  question: string,
  signal: AbortSignal,
): Promise<string> {
  const reader = createInterface({ input, output, terminal: false });
  const closed = new Promise<string>((resolve) => reader.once('close', () => resolve('')));
  try {
    return await Promise.race([reader.question(question, { signal }), closed]);
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    reader.close();
  }
}
