/** What one option is: the flag, the environment variable, the help and the reading of its text, in one place. */
export type Option<T> = Declaration<T> & Default;

/** The text used when neither flag nor variable is set. Where there is none, `defaultMeans` says what holds then. */
type Default =
  | { readonly default: string; readonly defaultMeans?: string }
  | { readonly default: undefined; readonly defaultMeans: string };

interface Declaration<T> {
  readonly environment: `ENCLAVE_MANAGER_${string}` | `AWS_${string}`;
  /** `--data-dir <directory>`; none where a value may be secret, because argv is visible to every user. */
  readonly flag?: `--${string}`;
  readonly help: string;
  readonly secret?: boolean;
  /** The value may also lie in a file named by `<environment>_FILE`. */
  readonly file?: boolean;
  /** How `config show` prints the text of a secret; the whole is masked without it. */
  readonly mask?: (text: string) => string;
  /** Throws `OptionProblem` on text it does not understand. */
  readonly parse: (text: string, place: Place) => T;
}

/** What relative values are relative to. */
export interface Place {
  readonly workingDirectory: string;
}

/** Why a value cannot be used, and the way out. The option's name and value are added by the reader. */
export class OptionProblem extends Error {
  readonly hint: string;

  constructor(message: string, hint: string) {
    super(message);
    this.name = 'OptionProblem';
    this.hint = hint;
  }
}

export const option = <T>(declaration: Option<T>): Option<T> => declaration;
