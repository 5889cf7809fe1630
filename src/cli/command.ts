import type { z } from 'zod';
import type { ErrorCode } from '#errors/codes.ts';
import type { Environment } from './environment.ts';
import type { Style } from './output/style.ts';

/** zod itself, handed in, so that `--help` need not load it. */
export type Zod = typeof z;

/** One command, whole: parser, help, `docs/cli.md`, JSON Schema and behaviour derive from it. */
export interface Command<Result = unknown> {
  /** `null` for commands of one word. */
  readonly noun: string | null;
  readonly verb: string;
  /** One line, for lists. */
  readonly summary: string;
  /** What it does, what it needs, what it changes; paragraphs separated by empty lines. */
  readonly description: string;
  readonly examples: readonly Example[];
  readonly arguments?: readonly CommandArgument[];
  readonly options?: readonly CommandOption[];
  /** It runs until it is told to stop, and has done its work then: it exits 0, not 130 or 143. */
  readonly untilStopped?: true;
  /** What exit code 1 says beside a bug, where a result exits with it. */
  readonly unwell?: string;
  /** Every failure that it may end with, beside those of every command (`failures.ts`). The tests hold what they see to it. */
  readonly failures: readonly ErrorCode[];
  /** What `--json` prints. */
  readonly result: (zod: Zod) => z.ZodType<Result>;
  run(environment: Environment, input: Input): Promise<Outcome<Result>>;
  /** The same for people, with closing newline. */
  render(result: Result, style: Style): string;
}

export interface Example {
  readonly command: string;
  readonly means: string;
}

export interface CommandArgument {
  readonly name: string;
  readonly help: string;
  readonly optional?: boolean;
}

export interface CommandOption {
  /** `--limit <number>` or, without value, `--without-safety-backup`. */
  readonly flag: `--${string}`;
  readonly help: string;
}

export interface Input {
  /** By name, in the command's own spelling. */
  readonly arguments: Readonly<Record<string, string | undefined>>;
  /** By flag name without dashes in front: `without-safety-backup`. */
  readonly options: Readonly<Record<string, string | true | undefined>>;
}

export interface Outcome<Result> {
  /** Missing when the command has printed it already, as `serve` does once it is ready. */
  readonly result?: Result;
  /** Instead of what `render` says of it, where the result does not say everything. */
  readonly text?: string;
  /** 0 unless given. */
  readonly exitCode?: number;
}

/** Checks a command's types against each other and forgets the result type. */
export function defineCommand<Result>(command: Command<Result>): Command {
  return command;
}

export const commandName = (command: Command): string =>
  command.noun === null ? command.verb : `${command.noun} ${command.verb}`;
