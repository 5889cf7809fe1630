import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '../corpora');

export interface CorpusInput {
  readonly file: string;
  readonly bytes: Buffer;
}

/** What earlier runs found worth keeping: an input for each way of refusing, and every crash there ever was. */
export function readCorpus(target: string): CorpusInput[] {
  const directory = join(root, target);
  if (!existsSync(directory)) return [];
  return readdirSync(directory)
    .toSorted()
    .map((file) => ({ file: `test/corpora/${target}/${file}`, bytes: readFileSync(join(directory, file)) }));
}

/** Enough to see how a parser refuses; more would only slow the reading. */
const maxInputs = 40;

/** Keeps an input under the name of its digest. */
export function keep(target: string, kind: 'crash' | 'input', bytes: Buffer): void {
  const name = `${kind}-${createHash('sha256').update(bytes).digest('hex').slice(0, 12)}`;
  mkdirSync(join(root, target), { recursive: true });
  if (kind === 'input' && readdirSync(join(root, target)).length >= maxInputs) return;
  writeFileSync(join(root, target, name), bytes);
}
