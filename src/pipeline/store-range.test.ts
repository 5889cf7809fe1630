import { describe, expect, it } from 'vitest';
import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { chunkObjectPath } from '#format/layout.ts';
import type { RowReader } from '#ports/row-transfer.ts';
import { countingRandomness, storeRows, testKeys } from './chunks.fixture.ts';
import { KnownChunks } from './known-chunks.ts';
import { memoryStore } from './memory-store.fixture.ts';
import { storeRange, type StoreRangePorts } from './store-range.ts';
import type { WorkerEvent } from './worker-protocol.ts';

const range = { table: 'users', columns: ['id', 'name'], keyColumns: 1, condition: null, estimatedBytes: 0 };
const text = Array.from({ length: 500 }, (_, index) => `${index}\tname of ${index}\n`);

/** Gives one row at a time, and waits when it is told to. */
const readerOf = (rows: readonly string[]): RowReader => ({
  read: async (_, sink) => {
    for (const row of rows) {
      sink.row(Buffer.from(row), 0, row.length);
      await sink.ready();
    }
    return rows.length;
  },
  close: async () => {},
});

function makePorts(parts: Partial<StoreRangePorts> = {}) {
  const store = memoryStore();
  const events: WorkerEvent[] = [];
  const ports: StoreRangePorts = {
    store,
    reader: readerOf(text),
    keys: testKeys(1),
    known: new KnownChunks(new Uint8Array()),
    strays: new Map(),
    randomness: countingRandomness,
    averageChunkBytes: 1000,
    emit: (event) => events.push(event),
    ...parts,
  };
  return { ports, store, events };
}

describe('storing a range', () => {
  it('stores every row once, in chunks whose rows and bytes add up', async () => {
    const { ports, store, events } = makePorts();

    const { rows, chunks } = await storeRange(ports, range);

    expect(rows).toBe(500);
    expect(chunks.length).toBeGreaterThan(3);
    expect(chunks.reduce((sum, chunk) => sum + chunk.rows, 0)).toBe(500);
    expect(chunks.reduce((sum, chunk) => sum + chunk.rowBytes, 0)).toBe(text.join('').length);
    for (const { object } of chunks)
      expect(store.objects.get(chunkObjectPath(object!.name))).toHaveLength(object!.sizeBytes);
    expect(events.filter(({ event }) => event === 'chunk-stored')).toHaveLength(chunks.length);
  });

  it('stores nothing that is known, and one chunk for one changed row', async () => {
    const { ports, store } = makePorts();
    const { chunks } = await storeRange(ports, range);
    const known = new KnownChunks(KnownChunks.pack(chunks.map(({ id }) => id)));
    const objects = store.objects.size;

    const again = await storeRange({ ...ports, known }, range);
    expect(again.chunks).toEqual(chunks.map(({ id, rows, rowBytes }) => ({ id, rows, rowBytes })));
    expect(store.objects.size).toBe(objects);

    // A change that leaves key and length alone moves no cut.
    const reader = readerOf(text.with(250, text[250]!.toUpperCase()));
    const changed = await storeRange({ ...ports, known, reader }, range);
    expect(changed.chunks.filter(({ object }) => object !== undefined)).toHaveLength(1);
    expect(store.objects.size).toBe(objects + 1);
  });

  it('takes over what an interrupted backup stored, and stores anew what that left damaged', async () => {
    const { ports, store } = makePorts();
    const { chunks } = await storeRange(ports, range);
    const strays = new Map(chunks.map(({ id, object }) => [id, [object!.name]]));
    const damaged = chunkObjectPath(chunks[0]!.object!.name);
    store.objects.set(damaged, store.objects.get(damaged)!.subarray(1));
    const objects = store.objects.size;

    const again = await storeRange({ ...ports, strays }, range);

    expect(again.chunks.slice(1)).toEqual(chunks.slice(1).map((chunk) => ({ ...chunk, reused: true })));
    expect(again.chunks[0]).toMatchObject({
      id: chunks[0]!.id,
      object: { name: expect.stringContaining(chunks[0]!.id) },
    });
    expect(again.chunks[0]!.object).not.toEqual(chunks[0]!.object);
    expect(store.objects.size).toBe(objects + 1);
  });

  it('fails with the first upload that fails', async () => {
    const full = new EnclaveManagerError('no-space', 'full');
    const store = { ...memoryStore(), put: () => Promise.reject(full) };
    const { ports } = makePorts({ store });
    await expect(storeRange(ports, range)).rejects.toBe(full);
  });

  it('refuses an object that somebody put in its place', async () => {
    const store = { ...memoryStore(), put: async () => 'exists' as const, get: async () => Buffer.from('other') };
    const { ports } = makePorts({ store });
    await expect(storeRange(ports, range)).rejects.toMatchObject({ code: 'damaged' });
  });

  it('accepts an object that is there with its own bytes: a put that was repeated', async () => {
    const memory = memoryStore();
    const store = {
      ...memory,
      put: async (key: string, body: Uint8Array) => {
        await memory.put(key, body);
        return 'exists' as const;
      },
    };
    const { ports } = makePorts({ store });
    await expect(storeRange(ports, range)).resolves.toMatchObject({ rows: 500 });
  });

  it('lets no more than a few uploads be under way, however slow the store is', async () => {
    let [running, most] = [0, 0];
    const memory = memoryStore();
    const store = {
      ...memory,
      put: async (key: string, body: Uint8Array) => {
        most = Math.max(most, (running += 1));
        await new Promise((resolve) => setImmediate(resolve));
        running -= 1;
        return await memory.put(key, body);
      },
    };
    const { ports } = makePorts({ store, averageChunkBytes: 50 });
    await storeRange(ports, range);
    // Four, and what one more row and the end of the table may cut at once.
    expect(most).toBeGreaterThanOrEqual(4);
    expect(most).toBeLessThanOrEqual(6);
  });
});

describe('chunks', () => {
  it('of the same rows have one id and several objects', async () => {
    const store = memoryStore();
    const first = await storeRows(store, testKeys(1), 'a\n');
    expect(await storeRows(store, testKeys(1), 'a\n')).toMatchObject({ id: first.id });
    expect(store.objects.size).toBe(2);
  });
});
