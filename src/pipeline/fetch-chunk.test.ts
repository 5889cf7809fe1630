import { describe, expect, it } from 'vitest';
import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { chunkObjectPath } from '#format/layout.ts';
import { countingRandomness, storeRows, testKeys } from './chunks.fixture.ts';
import { fetchChunk, readNamed, readStray } from './fetch-chunk.ts';
import { memoryStore } from './memory-store.fixture.ts';

const keys = testKeys(1);
const text = '1\ta\n2\tb\n';

async function storedTwice() {
  const store = memoryStore();
  const chunk = await storeRows(store, keys, text);
  const other = await storeRows(store, keys, text);
  expect(other.id).toBe(chunk.id);
  expect(other.object.name).not.toBe(chunk.object.name);
  return {
    store,
    chunk,
    other,
    path: chunkObjectPath(chunk.object.name),
    otherPath: chunkObjectPath(other.object.name),
  };
}

const flipped = (bytes: Buffer, at: number): Buffer => {
  const copy = Buffer.from(bytes);
  copy[at]! ^= 1;
  return copy;
};

describe('fetching a chunk', () => {
  it('takes the object that the manifest names where that is good', async () => {
    const { store, chunk, otherPath } = await storedTwice();
    store.objects.set(otherPath, Buffer.from('junk'));
    expect(await fetchChunk(store, [keys], chunk)).toEqual({ rows: Buffer.from(text), bad: undefined });
  });

  it.each([
    ['missing', undefined],
    ['shorter', (bytes: Buffer) => bytes.subarray(1)],
    ['changed', (bytes: Buffer) => flipped(bytes, bytes.length - 1)],
    ['of a newer format', (bytes: Buffer) => flipped(bytes, 4)],
    ['far too large', () => Buffer.alloc(1024 * 1024)],
  ] as const)('takes another object with the same rows where that is %s', async (_, change) => {
    const { store, chunk, other, path } = await storedTwice();
    const bytes = store.objects.get(path)!;
    if (change === undefined) store.objects.delete(path);
    else store.objects.set(path, change(bytes));

    const { rows, bad } = await fetchChunk(store, [keys], chunk);

    expect(rows.toString()).toBe(text);
    expect(bad).toMatchObject({ name: chunk.object.name, healedBy: other.object.name });
    await expect(readNamed(store, [keys], chunk)).rejects.toMatchObject({ code: 'damaged' });
  });

  it('takes no object that holds other rows, whatever its name says', async () => {
    const { store, chunk, path, otherPath } = await storedTwice();
    const strange = await storeRows(store, keys, '1\ta\n2\tB\n');
    store.objects.delete(path);
    store.objects.set(otherPath, store.objects.get(chunkObjectPath(strange.object.name))!);
    await expect(fetchChunk(store, [keys], chunk)).rejects.toMatchObject({
      code: 'damaged',
      message: `chunk object ${chunk.object.name} is missing`,
    });
  });

  it('is not misled by an alternative of a newer format', async () => {
    const { store, chunk, path, otherPath } = await storedTwice();
    store.objects.delete(path);
    store.objects.set(otherPath, flipped(store.objects.get(otherPath)!, 4));
    await expect(fetchChunk(store, [keys], chunk)).rejects.toMatchObject({ code: 'damaged' });
  });

  it('opens chunks of every epoch that it has keys of, and no others', async () => {
    const store = memoryStore();
    const chunk = await storeRows(store, testKeys(2), text);
    expect((await fetchChunk(store, [keys, testKeys(2)], chunk)).rows.toString()).toBe(text);
    await expect(fetchChunk(store, [keys], chunk)).rejects.toMatchObject({
      code: 'damaged',
      message: expect.stringContaining('epoch 2'),
    });
  });

  it('throws what is wrong with the store itself', async () => {
    const { chunk } = await storedTwice();
    const unreachable = new EnclaveManagerError('repository-unreachable', 'gone');
    const store = { ...memoryStore(), get: () => Promise.reject(unreachable) };
    await expect(fetchChunk(store, [keys], chunk)).rejects.toBe(unreachable);
  });
});

describe('an object that no backup names', () => {
  it('is taken over only when it holds exactly the rows, under its own name', async () => {
    const { store, chunk, path } = await storedTwice();
    const { name } = chunk.object;
    expect(await readStray(store, keys, name, chunk)).toEqual(chunk.object);

    const misnamed = `${chunk.id}.${countingRandomness.bytes(8).toString('hex')}`;
    store.objects.set(chunkObjectPath(misnamed), store.objects.get(path)!);
    expect(await readStray(store, keys, misnamed, chunk)).toBeUndefined();
    store.objects.set(path, flipped(store.objects.get(path)!, 30));
    expect(await readStray(store, keys, name, chunk)).toBeUndefined();
    store.objects.delete(path);
    expect(await readStray(store, keys, name, chunk)).toBeUndefined();
  });
});
