import { isDeepStrictEqual } from 'node:util';

/** Tells what is done and what is seen, and counts what was as it should be. */
export class Story {
  passed = 0;
  failed = 0;
  readonly #write: (text: string) => void;
  readonly #clock: () => number;
  #steps = 0;
  #begunAt: number;

  constructor(write: (text: string) => void, clock: () => number) {
    this.#write = write;
    this.#clock = clock;
    this.#begunAt = clock();
  }

  /** A step that throws counts as failed, and ends the story: what follows builds on it. */
  async step<T>(title: string, tell: () => Promise<T>): Promise<T> {
    this.#steps += 1;
    this.#begunAt = this.#clock();
    this.#write(`\n${this.#steps}. ${title}\n`);
    try {
      return await tell();
    } catch (error) {
      this.failed += 1;
      throw error;
    } finally {
      this.#write(`   (${Math.round((this.#clock() - this.#begunAt) / 1000)} s)\n`);
    }
  }

  say(text: string): void {
    this.#write(`   ${text}\n`);
  }

  command(words: readonly string[]): void {
    this.#write(`   $ ${words.map(quoted).join(' ')}\n`);
  }

  /** Compares values. One that is not as it should be is counted, and the step goes on. */
  check(what: string, seen: unknown, expected: unknown): void {
    if (isDeepStrictEqual(seen, expected)) {
      this.passed += 1;
      this.#write(`   ✓ ${what}: ${shown(seen)}\n`);
      return;
    }
    this.failed += 1;
    this.#write(`   ✗ FAILED ${what}: ${shown(seen)}, not ${shown(expected)}\n`);
  }
}

const quoted = (word: string): string => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`);

function shown(value: unknown): string {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? 'nothing');
  return text.length > 300 ? `${text.slice(0, 300)}…` : text;
}
