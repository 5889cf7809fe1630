import { existsSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readManifestSummary } from '#format/manifest.ts';

export const damages = ['bit flipped', 'truncated', 'deleted'] as const;
export type Damage = (typeof damages)[number];

const idOf = (objectName: string): string => objectName.slice(0, objectName.indexOf('.'));

/** What lies in the directory repository, and which of it we damaged. */
export class RepositoryView {
  readonly directory: string;
  /** Objects that we damaged and that still lie there. */
  readonly #damaged = new Set<string>();
  /** Manifests never change, and a deleted backup's is of no interest. */
  readonly #objectsOf = new Map<string, readonly string[]>();

  constructor(directory: string) {
    this.directory = directory;
  }

  manifestFile(id: string): string {
    return join(this.directory, 'backups', `${id}.json`);
  }

  hasManifest(id: string): boolean {
    return existsSync(this.manifestFile(id));
  }

  objectFile(name: string): string {
    return join(this.directory, 'chunks', name.slice(0, 2), name);
  }

  /** Object names that the manifest of a backup names. */
  objectsOf(id: string): readonly string[] {
    const known = this.#objectsOf.get(id);
    if (known !== undefined) return known;
    const { objects } = readManifestSummary(readFileSync(this.manifestFile(id)));
    const names = objects.map(({ name }) => name);
    this.#objectsOf.set(id, names);
    return names;
  }

  chunkObjects(): string[] {
    const directory = join(this.directory, 'chunks');
    if (!existsSync(directory)) return [];
    const files = readdirSync(directory, { recursive: true, withFileTypes: true });
    return files
      .filter((entry) => entry.isFile())
      .map(({ name }) => name)
      .toSorted();
  }

  damage(name: string, kind: Damage): void {
    const file = this.objectFile(name);
    const bytes = readFileSync(file);
    rmSync(file);
    this.#damaged.delete(name);
    if (kind === 'deleted') return;
    this.#damaged.add(name);
    writeFileSync(file, bytes);
    if (kind === 'truncated') truncateSync(file, Math.max(1, bytes.length - 100));
    else {
      bytes[Math.floor(bytes.length / 2)]! ^= 0x10;
      writeFileSync(file, bytes);
    }
  }

  isDamaged(name: string): boolean {
    return this.#damaged.has(name);
  }

  /** Chunks of a backup whose rows no object holds any more. */
  lostChunks(id: string): string[] {
    const good = new Set(
      this.chunkObjects()
        .filter((name) => !this.#damaged.has(name))
        .map(idOf),
    );
    return [...new Set(this.objectsOf(id).map(idOf))].filter((chunk) => !good.has(chunk));
  }

  isRestorable(id: string): boolean {
    return this.lostChunks(id).length === 0;
  }

  /**
   * How a restore may have ended that found so many chunks lost when it began: its own safety backup, or a backup beside it,
   * may have stored them anew before it came to them, or after.
   */
  restoreCodes(id: string, lostAtFirst: number): number[] {
    if (lostAtFirst === 0) return [0];
    return this.isRestorable(id) ? [0, 20] : [20];
  }
}
