import type { ObjectReference } from '#format/manifest.ts';

/** Name (32 + 8), SHA-256 (32), size as f64. */
export const entryBytes = 80;

const nameOf = (bytes: Buffer, at: number): string =>
  `${bytes.toString('hex', at, at + 32)}.${bytes.toString('hex', at + 32, at + 40)}`;

/** Writes each object once, however many lists name it, in 80 bytes. Lists name objects by their place. */
export class ObjectTableWriter {
  readonly #places = new Map<string, number>();
  readonly #references = new Map<ObjectReference, number>();
  readonly #entries: Buffer[] = [];

  /** Two objects of one name that are said to differ have two places. */
  place(reference: ObjectReference): number {
    const known = this.#references.get(reference);
    if (known !== undefined) return known;
    const { name, sha256, sizeBytes } = reference;
    const place = this.#placeOf(`${name} ${sha256} ${sizeBytes}`, name, sha256, sizeBytes);
    this.#references.set(reference, place);
    return place;
  }

  placeOfName(name: string): number {
    return this.#placeOf(name, name, '', 0);
  }

  #placeOf(identity: string, name: string, sha256: string, sizeBytes: number): number {
    const known = this.#places.get(identity);
    if (known !== undefined) return known;
    const entry = Buffer.alloc(entryBytes);
    entry.write(name.replace('.', ''), 0, 'hex');
    entry.write(sha256, 40, 'hex');
    entry.writeDoubleLE(sizeBytes, 72);
    this.#places.set(identity, this.#entries.length);
    this.#entries.push(entry);
    return this.#entries.length - 1;
  }

  bytes(): Buffer {
    return Buffer.concat(this.#entries);
  }
}

/** The same object for the same place, so that equal names are one text in memory. */
export class ObjectTable {
  readonly #bytes: Buffer;
  readonly #names: string[] = [];
  readonly #references: ObjectReference[] = [];

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  name(place: number): string {
    return (this.#names[place] ??= nameOf(this.#bytes, place * entryBytes));
  }

  reference(place: number): ObjectReference {
    return (this.#references[place] ??= this.#read(place));
  }

  #read(place: number): ObjectReference {
    const at = place * entryBytes;
    const sha256 = this.#bytes.toString('hex', at + 40, at + 72);
    return { name: this.name(place), sizeBytes: this.#bytes.readDoubleLE(at + 72), sha256 };
  }
}
