/** A number as it was written: a double would be another one. */
export class JsonNumber {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

/** Of keys that are there twice the last counts, as in PostgreSQL. */
export type JsonValue = null | boolean | string | JsonNumber | readonly JsonValue[] | ReadonlyMap<string, JsonValue>;

const blank = /[ \t\n\r]*/y;
const number = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const literals = new Map<string, null | boolean>([
  ['null', null],
  ['true', true],
  ['false', false],
]);

/**
 * Reads JSON (RFC 8259) with numbers as they are written. Not `JSON.parse`: that of Node 26 takes the key `"\""` for `"\\"`
 * where it has just read an object with that key (decision 050). Throws `SyntaxError`, and `RangeError` where it is too deep.
 */
export class JsonReader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  readDocument(): JsonValue {
    const value = this.#readValue();
    this.#skipBlank();
    if (this.#at < this.#text.length) throw this.#unexpected();
    return value;
  }

  #readValue(): JsonValue {
    this.#skipBlank();
    const first = this.#text[this.#at];
    if (first === '"') return this.#readString();
    if (first === '{') return this.#readObject();
    if (first === '[') return this.#readArray();
    for (const [name, value] of literals) if (this.#text.startsWith(name, this.#at)) return this.#pass(name, value);
    number.lastIndex = this.#at;
    const digits = number.exec(this.#text)?.[0];
    if (digits === undefined) throw this.#unexpected();
    return this.#pass(digits, new JsonNumber(digits));
  }

  #pass<T>(text: string, value: T): T {
    this.#at += text.length;
    return value;
  }

  #readObject(): ReadonlyMap<string, JsonValue> {
    const members = new Map<string, JsonValue>();
    this.#readItems('{', '}', () => {
      this.#skipBlank();
      const key = this.#readString();
      this.#expect(':');
      members.set(key, this.#readValue());
    });
    return members;
  }

  #readArray(): readonly JsonValue[] {
    const items: JsonValue[] = [];
    this.#readItems('[', ']', () => void items.push(this.#readValue()));
    return items;
  }

  #readItems(open: string, close: string, readItem: () => void): void {
    this.#expect(open);
    if (this.#skipIf(close)) return;
    do readItem();
    while (this.#skipIf(','));
    this.#expect(close);
  }

  /** A string alone has no keys, so `JSON.parse` may read it. */
  #readString(): string {
    const begin = this.#at;
    if (this.#text[begin] !== '"') throw this.#unexpected();
    let end = this.#text.indexOf('"', begin + 1);
    while (end >= 0 && this.#isEscaped(end)) end = this.#text.indexOf('"', end + 1);
    if (end < 0) throw new SyntaxError('a string does not end');
    this.#at = end + 1;
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- JSON in quotes is a string.
    return JSON.parse(this.#text.slice(begin, end + 1)) as string;
  }

  /** Whether an odd number of backslashes stands before. */
  #isEscaped(at: number): boolean {
    let first = at;
    while (this.#text[first - 1] === '\\') first -= 1;
    return (at - first) % 2 === 1;
  }

  #skipBlank(): void {
    blank.lastIndex = this.#at;
    blank.test(this.#text);
    this.#at = blank.lastIndex;
  }

  #skipIf(character: string): boolean {
    this.#skipBlank();
    if (this.#text[this.#at] !== character) return false;
    this.#at += 1;
    return true;
  }

  #expect(character: string): void {
    if (!this.#skipIf(character)) throw this.#unexpected();
  }

  #unexpected(): SyntaxError {
    const found = this.#text[this.#at];
    return new SyntaxError(found === undefined ? 'it ends too early' : `${JSON.stringify(found)} at ${this.#at}`);
  }
}
