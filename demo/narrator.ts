import { wrap } from '#cli/help.ts';
import type { Style } from '#cli/output/style.ts';
import { textWidth } from '#cli/output/table.ts';

const columns = 80;

/** Tells the story to a person at a terminal: at most 80 columns, readable without colours. */
export class Narrator {
  readonly style: Style;
  readonly #write: (text: string) => void;
  #scenes = 0;

  constructor(write: (text: string) => void, style: Style) {
    this.#write = write;
    this.style = style;
  }

  title(text: string): void {
    this.#write(`\n${this.style.bold(text)}\n${'='.repeat(textWidth(text))}\n`);
  }

  scene(text: string): void {
    this.#scenes += 1;
    const heading = `${this.#scenes}. ${text}`;
    this.#write(`\n\n${this.style.bold(heading)}\n${'-'.repeat(textWidth(heading))}\n`);
  }

  say(text: string): void {
    this.#write(`\n${wrap(text)}`);
  }

  /** A line that is too long goes on below with its last option, as a shell takes it. */
  command(host: string, words: string): void {
    const fits = `  ${host}$ enclave-manager ${words}`.length <= columns;
    const shown = fits ? words : words.replace(/ (--\S+ \S+)$/, ' \\\n      $1');
    this.#write(`\n  ${this.style.dim(`${host}$`)} ${this.style.bold(`enclave-manager ${shown}`)}\n`);
  }

  /** What a command or a query printed. Lines that fit stay as they are, so that tables stay aligned. */
  output(text: string): void {
    const lines = text.trimEnd().split('\n');
    for (const line of lines) {
      const indented = `    ${line}`;
      this.#write(textWidth(indented) <= columns ? `${indented.trimEnd()}\n` : hangingIndent(line));
    }
  }
}

/** Continued lines stand two columns further in than the first. */
const hangingIndent = (line: string): string => `    ${wrap(line.trim(), '      ').trimStart()}`;
