import { createInterface } from 'node:readline/promises';
import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { Clock } from '#ports/clock.ts';
import type { Progress } from '#ports/progress.ts';
import { spellCommands } from './program-name.ts';
import { ProgressBar, ProgressLines, silentProgress } from './progress.ts';
import { colourStyle, plainStyle, printable, printableLines, type Style } from './style.ts';

/** The streams of the process; tests pass their own. */
export interface Streams {
  readonly stdin: NodeJS.ReadableStream & { readonly isTTY?: boolean };
  readonly stdout: NodeJS.WritableStream & { readonly isTTY?: boolean };
  readonly stderr: NodeJS.WritableStream & { readonly isTTY?: boolean; readonly columns?: number };
}

export interface OutputOptions {
  readonly json: boolean;
  readonly quiet: boolean;
  /** Answers every question with yes. */
  readonly yes: boolean;
  /** Whether colours are welcome where there is a terminal. */
  readonly colour: boolean;
  /** How the reader starts the program; the texts say `enclave-manager`. */
  readonly program?: string;
}

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
    if (this.options.json || this.options.quiet) return silentProgress;
    const write = (text: string) => void this.#streams.stderr.write(text);
    if (this.#streams.stderr.isTTY !== true) return new ProgressLines(write, clock);
    return new ProgressBar(write, clock, () => this.#streams.stderr.columns || 80);
  }

  /** For what goes to stdout. */
  get style(): Style {
    return this.options.colour && this.#streams.stdout.isTTY === true ? colourStyle : plainStyle;
  }

  get #errorStyle(): Style {
    return this.options.colour && this.#streams.stderr.isTTY === true ? colourStyle : plainStyle;
  }

  document(value: unknown): void {
    this.#streams.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
  }

  text(text: string): void {
    this.#streams.stdout.write(this.#spell(text));
  }

  #spell(text: string): string {
    return spellCommands(text, this.options.program ?? 'enclave-manager');
  }

  /** A line beside the data. */
  note(message: string): void {
    if (!this.options.quiet) this.#streams.stderr.write(`${printableLines(this.#spell(message))}\n`);
  }

  warn(message: string): void {
    if (!this.options.quiet)
      this.#streams.stderr.write(`${this.#errorStyle.warn('Warning:')} ${printableLines(message)}\n`);
  }

  failure(error: EnclaveManagerError): void {
    this.progress.end();
    const hint = this.#spell(error.hint);
    if (this.options.json) {
      this.document({ error: { code: error.code, message: error.message, hint } });
      return;
    }
    const { stderr } = this.#streams;
    stderr.write(`${this.#errorStyle.bad('Error:')} ${printableLines(error.message)}\n`);
    if (hint !== '') stderr.write(`${printableLines(hint)}\n`);
  }

  /** Throws `usage` where a question could neither be asked nor is answered by `--yes`; for before the work begins. */
  requireTerminal(): void {
    const { stdin, stderr } = this.#streams;
    if (this.options.yes || (stdin.isTTY === true && stderr.isTTY === true)) return;
    throw new EnclaveManagerError('usage', 'this changes what serves, and there is no terminal to ask on', {
      hint: 'Add --yes if you mean it.',
    });
  }

  /**
   * Shows what is about to happen and asks. No → `interrupted`; nobody to ask and no `--yes` → `usage`.
   */
  async confirm(plan: string, question: string, signal: AbortSignal): Promise<void> {
    this.progress.end();
    const { stdin, stderr } = this.#streams;
    if (!this.options.json) stderr.write(printableLines(plan));
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
