import { cpSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { IndependentReader } from './independent-reader.ts';

interface Expected {
  readonly hostKeys: readonly string[];
  readonly clusterId: string;
  readonly clusterKey: string;
  readonly backups: readonly {
    readonly id: string;
    readonly tables: readonly { readonly name: string; readonly rows: string }[];
  }[];
}

const vectors = 'test/vectors/repository-v1';
const expected = JSON.parse(readFileSync(`${vectors}/expected.json`, 'utf8')) as Expected;
const hostKeys = expected.hostKeys.map((key) => Buffer.from(key, 'hex'));
const [first, second] = hostKeys as [Buffer, Buffer];
const newest = expected.backups.at(-1)!;

describe('a reader written from the specification alone', () => {
  it.each([
    ['the first host, whose credential was sealed anew', first],
    ['the second host, whose credential is of the first key generation', second],
  ])('lists and decrypts every backup on %s', (_, hostKey) => {
    const reader = new IndependentReader(`${vectors}/repository`, hostKey);
    expect(reader.keyring.clusterId).toBe(expected.clusterId);
    expect(reader.keyring.fingerprint).toBe(expected.clusterKey);
    expect(reader.backups()).toEqual(expected.backups.map(({ id }) => id));
    expect(expected.backups.map(({ id }) => ({ id, tables: reader.read(id).tables }))).toEqual(expected.backups);
  });

  it('finds the verification that an earlier key generation signed', () => {
    const [verification, ...others] = new IndependentReader(`${vectors}/repository`, first).verifications();
    expect(others).toEqual([]);
    expect(verification).toMatchObject({ level: 'new-chunks', backups: [expected.backups[1]!.id], passed: true });
  });

  it('opens nothing with the key of another host', () => {
    expect(() => new IndependentReader(`${vectors}/repository`, Buffer.alloc(32, 0xc3))).toThrow(
      'no key on this host opens it',
    );
  });

  it('imports nothing but node: modules and itself', () => {
    for (const name of ['reader', 'keyring', 'primitives']) {
      const source = readFileSync(`test/format/independent-${name}.ts`, 'utf8');
      const imported = [...source.matchAll(/from '([^']+)'/g)].map((match) => match[1]!);
      expect(imported.length).toBeGreaterThan(0);
      for (const from of imported) expect(from).toMatch(/^(node:(crypto|zlib|fs|path)|\.\/independent-[a-z]+\.ts)$/);
    }
  });
});

describe('a reader of a repository that was tampered with', () => {
  let root: string;

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'enclave-manager-reader-'));
    cpSync(`${vectors}/repository`, root, { recursive: true });
  });

  afterEach(() => {
    rmSync(root, { recursive: true });
  });

  const chunkFiles = (): string[] =>
    readdirSync(join(root, 'chunks'), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name));

  it('reads with the copies in a manifest where the keyring is gone', () => {
    rmSync(join(root, 'keyring'), { recursive: true });
    const reader = new IndependentReader(root, second, newest.id);
    expect(reader.read(newest.id).tables).toEqual(newest.tables);
  });

  it('does not count a manifest that was edited', () => {
    const path = join(root, `backups/${newest.id}.json`);
    writeFileSync(path, readFileSync(path, 'utf8').replace('\\"sequence\\":3', '\\"sequence\\":4'));
    const reader = new IndependentReader(root, first);
    expect(reader.backups()).toHaveLength(2);
    expect(() => reader.read(newest.id)).toThrow('is not authentic');
  });

  it('does not count a manifest under another name', () => {
    renameSync(join(root, `backups/${newest.id}.json`), join(root, 'backups/20270101T000000Z-zzzzzz.json'));
    expect(new IndependentReader(root, first).backups()).toHaveLength(2);
  });

  it('does not count a manifest of an earlier key generation that the accepted past does not name', () => {
    const path = join(root, 'keyring/epochs/2/epoch.json');
    const [digest] = /[0-9a-f]{64}/.exec(readFileSync(path, 'utf8').split('acceptedPast')[1]!)!;
    writeFileSync(path, readFileSync(path, 'utf8').replace(digest, 'ff'.repeat(32)));
    // The edited list is not signed; without it the history ends at the first generation, and the newest backup is unknown.
    expect(() => new IndependentReader(root, first)).toThrow('no single epoch document introduces the cluster key');
    expect(new IndependentReader(root, second).backups()).toEqual(expected.backups.slice(0, 2).map(({ id }) => id));
  });

  it('refuses every backup that needs a chunk with one flipped bit', () => {
    for (const file of chunkFiles()) {
      const bytes = readFileSync(file);
      bytes[bytes.length >> 1]! ^= 1;
      writeFileSync(file, bytes);
    }
    const reader = new IndependentReader(root, first);
    for (const { id } of expected.backups) expect(() => reader.read(id)).toThrow('is missing or damaged');
  });

  it('takes another good object under the same id', () => {
    for (const file of chunkFiles()) renameSync(file, file.replace(/\.[0-9a-f]{16}$/, '.0000000000000000'));
    const reader = new IndependentReader(root, first);
    expect(reader.read(newest.id).tables).toEqual(newest.tables);
  });

  it('does not take the chunk of another id', () => {
    const [one, other] = chunkFiles() as [string, string];
    const bytes = readFileSync(one);
    writeFileSync(one, readFileSync(other));
    writeFileSync(other, bytes);
    const reader = new IndependentReader(root, first);
    const outcomes = expected.backups.map(({ id }) => {
      try {
        return reader.read(id).tables.length;
      } catch (error) {
        return (error as Error).message;
      }
    });
    expect(outcomes).toContainEqual(expect.stringContaining('is missing or damaged'));
  });
});
