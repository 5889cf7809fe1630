import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';

import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { OpenedKeyring } from '#keys/keyring.ts';

import { newTestCluster, testRandomness } from './cluster-for-tests.ts';
import { encodeManifest, type Manifest, manifestTotals, openManifest, readManifestSummary } from './manifest.ts';

const backupId = '20261122T000000Z-k3f9q2';
const objectOf = (id: string, sizeBytes: number): Manifest['objects'][number] => ({
  name: `${id}.${testRandomness.bytes(8).toString('hex')}`,
  sizeBytes,
  sha256: testRandomness.bytes(32).toString('hex'),
});

function newManifest(keyring: OpenedKeyring): Manifest {
  const ids = Array.from({ length: 3 }, () => testRandomness.bytes(32).toString('hex')).toSorted();
  const objects = ids.map((id, index) => objectOf(id, 1000 + index));
  const columns = [
    { name: 'id', type: 'uuid' },
    { name: 'tags', type: 'text[]' },
  ];
  const tables = [
    { name: 'nodes', columns, rows: 0, chunks: [] },
    {
      name: 'audit_events',
      columns,
      rows: 30,
      // The same rows may stand in a table twice; they are stored once.
      chunks: [ids[2]!, ids[0]!, ids[1]!, ids[2]!].map((id, index) => ({
        id,
        rows: index % 3 ? 10 : 5,
        rowBytes: 700,
      })),
    },
  ];
  return {
    summary: {
      id: backupId,
      clusterId: keyring.clusterId,
      kind: 'scheduled',
      sequence: 7,
      startedAt: '2026-11-22T00:00:00.000Z',
      endedAt: '2026-11-22T00:00:07.125Z',
      engine: 'postgresql',
      schemaVersion: 2,
      productVersion: '0.1.0',
      epochs: [1],
      incarnation: { number: 1, random: '00112233aabbccdd' },
      ...manifestTotals(tables, objects),
    },
    migrations: [1, 2].map((version) => ({ version, checksum: testRandomness.bytes(32).toString('hex') })),
    objects,
    keyring: keyring.documents,
    tables,
    warnings: ['table apps had 3 rows before and has none now'],
  };
}

let keyring: OpenedKeyring;
let manifest: Manifest;
let bytes: Buffer;
let payload: Record<string, unknown>;

beforeAll(async () => {
  ({ keyring } = await newTestCluster());
  manifest = newManifest(keyring);
  bytes = encodeManifest(keyring, manifest, testRandomness);
  payload = JSON.parse((JSON.parse(bytes.toString()) as { payload: string }).payload) as Record<string, unknown>;
});

const opening = (work: () => unknown): unknown => {
  try {
    return work();
  } catch (error) {
    return error;
  }
};

describe('a manifest', () => {
  it('opens to what was encoded', () => {
    expect(openManifest(keyring, backupId, bytes)).toEqual(manifest);
  });

  it('shows its clear part without keys, and no table', () => {
    const { summary, migrations, objects, keyring: documents } = manifest;
    expect(readManifestSummary(bytes)).toEqual({ summary, migrations, objects, keyring: documents });
    expect(bytes.toString()).not.toContain('audit_events');
  });

  it('counts the objects that a table names twice once', () => {
    expect(manifestTotals(manifest.tables, manifest.objects)).toEqual({
      rows: 30,
      logicalBytes: 2800,
      storedBytes: 3003,
      chunks: 3,
    });
  });

  it('is damaged under another name', () => {
    const other = '20261122T000001Z-k3f9q2';
    expect(opening(() => openManifest(keyring, other, bytes))).toMatchObject({
      code: 'damaged',
      message: `backups/${other}.json holds the manifest of backup ${backupId}`,
    });
  });

  it('is forged for another cluster', async () => {
    const other = await newTestCluster();
    expect(opening(() => openManifest(other.keyring, backupId, bytes))).toMatchObject({ code: 'forged' });
  });

  it('is forged when a number in it was edited', () => {
    const edited = Buffer.from(bytes.toString().replace('\\"sequence\\":7', '\\"sequence\\":8'));
    expect(readManifestSummary(edited).summary.sequence).toBe(8);
    expect(opening(() => openManifest(keyring, backupId, edited))).toMatchObject({ code: 'forged' });
  });

  it('cannot lend its encrypted part to another backup', () => {
    const summary = { ...manifest.summary, id: '20270101T000000Z-aaaaaa' };
    const mixed = keyring.sign('manifest', { ...payload, summary });
    expect(opening(() => openManifest(keyring, summary.id, mixed))).toMatchObject({
      code: 'damaged',
      message: expect.stringContaining('does not decrypt') as string,
    });
  });

  it('says which epoch is missing on a host that cannot open it', () => {
    const encrypted = { ...(payload['encrypted'] as object), epoch: 9 };
    const other = keyring.sign('manifest', { ...payload, encrypted, summary: { ...manifest.summary, epochs: [1, 9] } });
    expect(opening(() => openManifest(keyring, backupId, other))).toMatchObject({ code: 'no-key' });
  });

  it('of more chunks than it can name is refused when it is written', () => {
    const objects = Array.from({ length: 200_001 }, () => manifest.objects[0]!);
    expect(opening(() => encodeManifest(keyring, { ...manifest, objects }, testRandomness))).toMatchObject({
      code: 'configuration',
      message: 'the backup has 200001 chunks; a manifest names at most 200000',
    });
  });

  it('ignores members that a newer writer added', () => {
    const newer = keyring.sign('manifest', { ...payload, addedLater: true });
    expect(openManifest(keyring, backupId, newer)).toEqual(manifest);
  });
});

describe('a manifest that an enrolled host signed and that contradicts itself', () => {
  const clear: readonly [string, () => object, string][] = [
    ['the cluster', () => ({ clusterId: '00000000-0000-7000-8000-000000000000' }), 'cluster'],
    ['the number of chunks', () => ({ chunks: 4 }), 'chunks 4, but 3'],
    ['the stored bytes', () => ({ storedBytes: 1 }), 'storedBytes 1, but 3003'],
    ['the epochs', () => ({ epochs: [1, 2] }), 'newest epoch 2, but 1'],
  ];
  it.each(clear)('about %s is damaged', (_, change, message) => {
    const signed = keyring.sign('manifest', { ...payload, summary: { ...manifest.summary, ...change() } });
    const expected = { code: 'damaged', message: expect.stringContaining(message) as string };
    expect(opening(() => readManifestSummary(signed))).toMatchObject(expected);
    expect(opening(() => openManifest(keyring, backupId, signed))).toMatchObject(expected);
  });

  it('about the object of a chunk is damaged', () => {
    const [one, ...others] = manifest.objects as [Manifest['objects'][number], ...Manifest['objects']];
    const twin = { ...one, name: `${one.name.slice(0, 65)}ffffffffffffffff` };
    const summary = { ...manifest.summary, chunks: 4, storedBytes: 4003 };
    const signed = keyring.sign('manifest', { ...payload, summary, objects: [one, twin, ...others] });
    expect(opening(() => readManifestSummary(signed))).toMatchObject({
      code: 'damaged',
      message: expect.stringContaining(`chunk ${one.name.slice(0, 64)} has two objects`) as string,
    });
  });

  const hidden: readonly [string, () => object, string][] = [
    ['the rows', () => ({ rows: 31 }), 'rows 31, but 30'],
    ['the bytes', () => ({ logicalBytes: 5 }), 'logicalBytes 5, but 2800'],
  ];
  it.each(hidden)('about %s is damaged once it is opened', (_, change, message) => {
    const signed = keyring.sign('manifest', { ...payload, summary: { ...manifest.summary, ...change() } });
    expect(opening(() => openManifest(keyring, backupId, signed))).toMatchObject({
      code: 'damaged',
      message: expect.stringContaining(message) as string,
    });
  });

  it('is not written either', () => {
    const [first, second] = manifest.tables as [Manifest['tables'][number], Manifest['tables'][number]];
    const wrong: readonly [Partial<Manifest>, string][] = [
      [{ tables: [first, { ...second, rows: 29 }] }, 'rows 30, but 29 by its tables'],
      [{ tables: [first, { ...first, rows: 0 }, second] }, 'tables 3, but 2 by their names'],
      [{ tables: [{ ...first, columns: [...first.columns, ...first.columns] }, second] }, 'columns of nodes 4, but 2'],
      [
        {
          tables: [
            { ...first, rows: 1 },
            { ...second, rows: 29 },
          ],
        },
        'rows of nodes 1, but 0 by its chunks',
      ],
      [
        {
          tables: [first, { ...second, chunks: second.chunks.with(1, { ...second.chunks[1]!, id: 'ff'.repeat(32) }) }],
        },
        'has no object',
      ],
    ];
    for (const [change, message] of wrong) {
      expect(() => encodeManifest(keyring, { ...manifest, ...change }, testRandomness)).toThrow(message);
    }
    const unused = [...manifest.objects, objectOf('ff'.repeat(32), 5)];
    const summary = { ...manifest.summary, chunks: 4, storedBytes: 3008 };
    expect(() => encodeManifest(keyring, { ...manifest, summary, objects: unused }, testRandomness)).toThrow(
      'no table has the chunk',
    );
  });
});

describe('a manifest with a field outside its limits', () => {
  const object = (change: object) => () => ({
    objects: [{ ...manifest.objects[0], ...change }, ...manifest.objects.slice(1)],
  });
  const summary = (change: object) => () => ({ summary: { ...manifest.summary, ...change } });
  const cases: readonly [string, () => object][] = [
    ['objects out of order', () => ({ objects: manifest.objects.toReversed() })],
    ['one object twice', () => ({ objects: [...manifest.objects, manifest.objects.at(-1)] })],
    ['an object with a path in its name', object({ name: '../../etc/passwd' })],
    ['an object with a negative size', object({ sizeBytes: -1 })],
    ['an object with an unsafe size', object({ sizeBytes: 2 ** 53 })],
    ['a digest in upper case', object({ sha256: 'AB'.repeat(32) })],
    ['a time without a zone', summary({ startedAt: '2026-11-22T00:00:00' })],
    ['a time that does not exist', summary({ endedAt: '2026-13-22T00:00:00Z' })],
    ['a sequence of zero', summary({ sequence: 0 })],
    ['rows with a fraction', summary({ rows: 1.5 })],
    ['an unknown kind', summary({ kind: 'full' })],
    ['a long engine', summary({ engine: 'x'.repeat(101) })],
    ['epochs out of order', summary({ epochs: [2, 1] })],
    ['no epoch', summary({ epochs: [] })],
    ['an epoch beyond 32 bits', summary({ epochs: [2 ** 32] })],
    ['migrations out of order', () => ({ migrations: manifest.migrations.toReversed() })],
    [
      'a keyring document outside keyring/',
      () => ({ keyring: [{ path: 'keyring/../enclave-manager.json', bytes: '' }] }),
    ],
    ['a keyring document that is not base64', () => ({ keyring: [{ path: 'keyring/members/1.json', bytes: '!' }] })],
    ['an encrypted part that is not base64', () => ({ encrypted: { epoch: 1, bytes: 'abc' } })],
    ['no objects', () => ({ objects: undefined })],
  ];
  it.each(cases)('(%s) is damaged', (_, change) => {
    const signed = keyring.sign('manifest', { ...payload, ...change() });
    const expected = { code: 'damaged', message: expect.stringContaining('does not fit the format in ') as string };
    expect(opening(() => readManifestSummary(signed))).toMatchObject(expected);
    expect(opening(() => openManifest(keyring, backupId, signed))).toMatchObject(expected);
  });
});

describe('bytes that are almost a manifest', () => {
  const expectTyped = (candidate: Buffer): void => {
    for (const outcome of [
      opening(() => readManifestSummary(candidate)),
      opening(() => openManifest(keyring, backupId, candidate)),
    ]) {
      if (!(outcome instanceof Error)) continue;
      expect(outcome).toBeInstanceOf(EnclaveManagerError);
      expect(['damaged', 'forged', 'version-incompatible', 'no-key']).toContain((outcome as EnclaveManagerError).code);
      expect(outcome.message.length).toBeLessThan(600);
    }
  };

  it('give a typed error after any change of bytes', () => {
    const edit = fc.record({
      at: fc.double({ min: 0, max: 1, noNaN: true }),
      remove: fc.nat({ max: 40 }),
      insert: fc.uint8Array({ maxLength: 20 }),
    });
    fc.assert(
      fc.property(fc.array(edit, { minLength: 1, maxLength: 4 }), (edits) => {
        let candidate = bytes;
        for (const { at, remove, insert } of edits) {
          const begin = Math.floor(at * candidate.length);
          candidate = Buffer.concat([candidate.subarray(0, begin), insert, candidate.subarray(begin + remove)]);
        }
        expectTyped(candidate);
      }),
      { numRuns: 300 },
    );
  });

  it('give a typed error for any signed JSON in place of a field', () => {
    const fields = fc.constantFrom('summary', 'migrations', 'objects', 'keyring', 'encrypted');
    fc.assert(
      fc.property(fields, fc.jsonValue({ maxDepth: 5 }), (field, value) => {
        expectTyped(keyring.sign('manifest', { ...payload, [field]: value }));
      }),
      { numRuns: 200 },
    );
  });

  it('give a typed error when they are deeply nested', () => {
    expectTyped(Buffer.from('['.repeat(200_000)));
    expectTyped(
      keyring.sign('manifest', {
        ...payload,
        summary: JSON.parse(`${'['.repeat(5000)}${']'.repeat(5000)}`) as unknown,
      }),
    );
  });
});
