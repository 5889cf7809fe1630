import { beforeAll, expect, it } from 'vitest';
import { newTestCluster, testRandomness } from '#format/cluster-for-tests.ts';
import { manifestPath } from '#format/layout.ts';
import { encodeManifest, manifestTotals } from '#format/manifest.ts';
import type { KeyringDocument, OpenedKeyring } from '#keys/keyring.ts';
import type { BackupSummary } from '#model/backup.ts';
import { memoryStore } from '#pipeline/memory-store.fixture.ts';
import { carriedKeyrings } from './carried-keyring.ts';

let keyring: OpenedKeyring;

beforeAll(async () => {
  ({ keyring } = await newTestCluster());
});

/** A manifest of a day in January, which carries these documents. */
function manifestWith(day: number, documents: readonly KeyringDocument[]): [string, Buffer] {
  const id = `202601${String(day).padStart(2, '0')}T000000Z-k3f9q2`;
  const summary: BackupSummary = {
    id,
    clusterId: keyring.clusterId,
    kind: 'manual',
    sequence: day,
    startedAt: '2026-01-01T00:00:00.000Z',
    endedAt: '2026-01-01T00:00:00.000Z',
    engine: 'postgresql',
    schemaVersion: 1,
    productVersion: '1',
    epochs: [1],
    incarnation: { number: 1, random: '00'.repeat(8) },
    ...manifestTotals([], []),
  };
  const parts = { summary, migrations: [], objects: [], tables: [], warnings: [], keyring: documents };
  return [manifestPath(id), encodeManifest(keyring, parts, testRandomness)];
}

const epoch = (number: number, sizeBytes: number): KeyringDocument => ({
  path: `keyring/epochs/${number}/epoch.json`,
  bytes: Buffer.alloc(sizeBytes, number),
});
const member = (number: number): KeyringDocument => ({
  path: `keyring/members/${number}.json`,
  bytes: Buffer.from('{}'),
});

async function groupsOf(manifests: readonly [string, Buffer][]): Promise<string[][]> {
  const store = memoryStore();
  for (const [key, bytes] of manifests) store.objects.set(key, bytes);
  const groups: string[][] = [];
  for await (const group of carriedKeyrings(store, { manifests: 3, documents: 4, bytes: 64 * 1024 }))
    groups.push(group.map(({ path }) => path.split('/').slice(1).join('/')));
  return groups;
}

it('takes a few manifests together, newest first, and the same bytes once', async () => {
  const manifests = [1, 2, 3, 4].map((day) => manifestWith(day, [member(1), ...(day === 2 ? [member(2)] : [])]));
  expect(await groupsOf(manifests)).toEqual([['members/1.json', 'members/2.json'], ['members/1.json']]);
});

it('keeps what is many or large from being held with others, and from hiding them', async () => {
  const many = Array.from({ length: 4 }, (_, index) => member(index + 10));
  const groups = await groupsOf([
    manifestWith(1, [member(1)]),
    manifestWith(2, many),
    manifestWith(3, [member(3)]),
    manifestWith(4, [epoch(4, 40_000)]),
    manifestWith(5, [epoch(5, 40_000)]),
  ]);
  expect(groups).toEqual([
    ['epochs/5/epoch.json'],
    ['epochs/4/epoch.json', 'members/3.json'],
    many.map(({ path }) => path.slice('keyring/'.length)),
    ['members/1.json'],
  ]);
});

it('comes last to manifests that are larger than ordinary ones', async () => {
  const large = manifestWith(9, [epoch(9, 13 * 1024 * 1024)]);
  expect(await groupsOf([manifestWith(1, [member(1)]), large])).toEqual([['members/1.json'], ['epochs/9/epoch.json']]);
});

it('passes over what is no manifest, and documents that are longer than any of their kind', async () => {
  const longMember = { ...member(2), bytes: Buffer.alloc(1024 * 1024 + 1) };
  const groups = await groupsOf([
    [manifestPath('20260203T000000Z-k3f9q2'), Buffer.from('{}')],
    manifestWith(2, [member(1), longMember]),
  ]);
  expect(groups).toEqual([['members/1.json']]);
});
