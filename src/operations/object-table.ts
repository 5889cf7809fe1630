import type { ObjectReference } from '#format/manifest.ts';

/** Name (32 + 8), SHA-256 (32), size as f64, the first place of the same name as u32. */
export const entryBytes = 84;
const [sha256At, sizeAt, firstAt] = [40, 72, 80];
const leastCapacityBytes = 1024 * entryBytes;

/**
 * Objects that many lists name, each once and in 84 bytes. Lists name them by their place, in four; references and texts
 * are made of what somebody asks for, and one object is one text however many name it.
 */
export class ObjectTable {
  /** Grows by half more than is needed. */
  #entries: Buffer;
  #length: number;
  readonly #names: (string | undefined)[] = [];
  readonly #references: (ObjectReference | undefined)[] = [];
  /** The first place of each name; made when something is looked up. */
  #firsts: Map<string, number> | undefined;
  /** The later places of a name: of objects that are said to differ from the first. */
  readonly #later = new Map<number, number[]>();

  constructor(entries: Buffer = Buffer.alloc(0)) {
    this.#entries = entries;
    this.#length = entries.length / entryBytes;
    for (let place = 0; place < this.#length; place += 1) {
      const first = this.#first(place);
      if (first !== place) this.#laterOf(first).push(place);
    }
  }

  get length(): number {
    return this.#length;
  }

  /** The reference of the first place of a name, if some manifest has named it so. */
  get(name: string): ObjectReference | undefined {
    const place = this.#lookUp(name);
    const reference = place === undefined ? undefined : this.reference(place);
    return reference?.sizeBytes === 0 ? undefined : reference;
  }

  place(reference: ObjectReference): number {
    const first = this.#lookUp(reference.name);
    if (first === undefined) return this.#add(reference, this.#length);
    if (isSame(this.reference(first), reference)) return first;
    const later = this.#later.get(first)?.find((place) => isSame(this.reference(place), reference));
    return later ?? this.#add(reference, first);
  }

  /** For an object of which nothing else is said. */
  placeOfName(name: string): number {
    return this.#lookUp(name) ?? this.#add({ name, sha256: '', sizeBytes: 0 }, this.#length);
  }

  places(references: readonly ObjectReference[]): Uint32Array {
    const places = new Uint32Array(references.length);
    for (const [index, reference] of references.entries()) places[index] = this.place(reference);
    return places;
  }

  placesOfNames(names: readonly string[]): Uint32Array {
    return Uint32Array.from(names, (name) => this.placeOfName(name));
  }

  name(place: number): string {
    return (this.#names[place] ??= this.#nameAt(place * entryBytes));
  }

  reference(place: number): ObjectReference {
    return (this.#references[place] ??= this.#referenceAt(place));
  }

  names(places: Uint32Array): string[] {
    return Array.from(places, (place) => this.name(place));
  }

  references(places: Uint32Array): ObjectReference[] {
    return Array.from(places, (place) => this.reference(place));
  }

  /** Equal numbers for equal names: the first place of each. */
  numbersOfNames(places: Uint32Array): Uint32Array {
    return this.#later.size === 0 ? places : places.map((place) => this.#first(place));
  }

  /** What the constructor takes, of the given places alone, in their order. */
  entriesOf(places: readonly number[]): Buffer {
    const entries = Buffer.allocUnsafe(places.length * entryBytes);
    const moved = new Map<number, number>();
    for (const [to, place] of places.entries()) {
      const at = to * entryBytes;
      this.#entries.copy(entries, at, place * entryBytes, (place + 1) * entryBytes);
      const first = this.#first(place);
      if (!moved.has(first)) moved.set(first, to);
      entries.writeUInt32LE(moved.get(first)!, at + firstAt);
    }
    return entries;
  }

  #lookUp(name: string): number | undefined {
    if (this.#firsts === undefined) {
      this.#firsts = new Map();
      for (let place = 0; place < this.#length; place += 1) {
        if (this.#first(place) === place) this.#firsts.set(this.name(place), place);
      }
    }
    return this.#firsts.get(name);
  }

  #add(reference: ObjectReference, first: number): number {
    const place = this.#length;
    const at = place * entryBytes;
    if (at + entryBytes > this.#entries.length) this.#grow(at + entryBytes);
    const { name, sha256, sizeBytes } = reference;
    this.#entries.write(name.replace('.', ''), at, 'hex');
    if (sha256 === '') this.#entries.fill(0, at + sha256At, at + sizeAt);
    else this.#entries.write(sha256, at + sha256At, 'hex');
    this.#entries.writeDoubleLE(sizeBytes, at + sizeAt);
    this.#entries.writeUInt32LE(first, at + firstAt);
    this.#length += 1;
    this.#names[place] = name;
    this.#references[place] = reference;
    if (first === place) this.#firsts?.set(name, place);
    else this.#laterOf(first).push(place);
    return place;
  }

  #grow(leastBytes: number): void {
    const grown = Buffer.alloc(Math.max(leastCapacityBytes, Math.ceil(leastBytes * 1.5)));
    this.#entries.copy(grown, 0, 0, this.#length * entryBytes);
    this.#entries = grown;
  }

  #first(place: number): number {
    return this.#entries.readUInt32LE(place * entryBytes + firstAt);
  }

  #laterOf(first: number): number[] {
    const later = this.#later.get(first) ?? [];
    this.#later.set(first, later);
    return later;
  }

  #nameAt(at: number): string {
    return `${this.#entries.toString('hex', at, at + 32)}.${this.#entries.toString('hex', at + 32, at + sha256At)}`;
  }

  #referenceAt(place: number): ObjectReference {
    const at = place * entryBytes;
    const sha256 = this.#entries.toString('hex', at + sha256At, at + sizeAt);
    return { name: this.name(place), sizeBytes: this.#entries.readDoubleLE(at + sizeAt), sha256 };
  }
}

const isSame = (one: ObjectReference, other: ObjectReference): boolean =>
  one === other || (one.name === other.name && one.sha256 === other.sha256 && one.sizeBytes === other.sizeBytes);
