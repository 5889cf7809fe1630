import { createHash } from 'node:crypto';
import { uuidv7 } from '#model/identifiers.ts';
import type { Randomness } from '#ports/randomness.ts';

/** Choices that are the same in every run with the same seed: SHA-512 in counter mode. Never for keys of a real cluster. */
export class Chance implements Randomness {
  readonly #seed: string;
  #counter = 0;
  #block: Buffer = Buffer.alloc(0);

  constructor(seed: string) {
    this.#seed = seed;
  }

  bytes(length: number): Buffer {
    const parts: Buffer[] = [];
    for (let missing = length; missing > 0; missing -= parts.at(-1)!.length) {
      if (this.#block.length === 0) this.#block = this.#nextBlock();
      parts.push(this.#block.subarray(0, missing));
      this.#block = this.#block.subarray(missing);
    }
    return Buffer.concat(parts);
  }

  hex(length: number): string {
    return this.bytes(length).toString('hex');
  }

  /** From `least` to `most`, both included. */
  integer(least: number, most: number): number {
    return least + (this.bytes(4).readUInt32BE() % (most - least + 1));
  }

  oneOf<T>(choices: readonly T[]): T {
    return choices[this.integer(0, choices.length - 1)]!;
  }

  uuid(at: Date): string {
    return uuidv7(at, this.bytes(10));
  }

  #nextBlock(): Buffer {
    this.#counter += 1;
    return createHash('sha512').update(`${this.#seed}\n${this.#counter}`).digest();
  }
}
