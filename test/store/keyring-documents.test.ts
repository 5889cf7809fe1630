import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Membership } from '#keys/membership.ts';
import { readKeyringDocuments, saveKeyringDocuments } from '#store/keyring-documents.ts';
import { listNodes, setNodeStatus, syncNodes } from '#store/nodes.ts';
import { migratedDatabase, ports } from './store-database.ts';

const nodeA = '01890a5d-ac96-774b-bcce-b302099a8057';
const nodeB = '01890a5d-ac96-774b-bcce-b302099a8058';
const credential = '019aa8f0-0000-7000-8000-000000000001';

const documents = [
  { path: `keyring/epochs/1/${nodeA}.${credential}.json`, bytes: Buffer.from('slot') },
  { path: 'keyring/epochs/1/epoch.json', bytes: Buffer.from('epoch') },
  { path: 'keyring/members/1.json', bytes: Buffer.from('first') },
  { path: 'keyring/members/2.json', bytes: Buffer.from([0, 255, 10, 92]) },
  { path: `keyring/nodes/${nodeA}/${credential}.json`, bytes: Buffer.from('credential') },
];

describe('keyring documents', () => {
  it('come back byte for byte, sorted by path', async () => {
    const { database } = await migratedDatabase();
    await database.transaction((queries) => saveKeyringDocuments(queries, documents.toReversed()));
    expect(await readKeyringDocuments(database.queries)).toEqual(documents);
  });

  it('can be saved any number of times, in any parts and order', async () => {
    const { database } = await migratedDatabase();
    const anyParts = fc.array(fc.shuffledSubarray(documents), { maxLength: 4 });
    const check = fc.asyncProperty(anyParts, async (parts) => {
      for (const part of parts) await database.transaction((queries) => saveKeyringDocuments(queries, part));
      await database.transaction((queries) => saveKeyringDocuments(queries, documents));
      expect(await readKeyringDocuments(database.queries)).toEqual(documents);
    });
    await fc.assert(check, { numRuns: 10 });
  });

  it('never change: other bytes under a known path are refused and nothing is saved', async () => {
    const { database } = await migratedDatabase();
    await saveKeyringDocuments(database.queries, documents.slice(0, 2));
    const edited = [documents[2]!, { ...documents[1]!, bytes: Buffer.from('another epoch') }];
    const saving = database.transaction((queries) => saveKeyringDocuments(queries, edited));
    await expect(saving).rejects.toMatchObject({
      code: 'forged',
      message: expect.stringContaining('keyring/epochs/1/epoch.json'),
    });
    expect(await readKeyringDocuments(database.queries)).toEqual(documents.slice(0, 2));
  });

  it('are refused under a path that is none of the keyring’s', async () => {
    const { database } = await migratedDatabase();
    for (const path of ['keyring/epochs/01/epoch.json', 'keyring/../members/1.json', 'backups/x.json']) {
      const saving = saveKeyringDocuments(database.queries, [{ path, bytes: Buffer.alloc(1) }]);
      await expect(saving).rejects.toMatchObject({ code: 'damaged' });
    }
  });
});

describe('syncNodes', () => {
  it('adds, renames and deactivates as the membership says, and keeps what heartbeats said', async () => {
    const { database } = await migratedDatabase();
    const { queries } = database;
    await syncNodes(queries, membership(1, [node(nodeA, 'host-a'), node(nodeB, 'host-b')]), ports);
    expect(await statuses(queries)).toEqual({ 'host-a': 'PROVISIONED', 'host-b': 'PROVISIONED' });
    await setNodeStatus(queries, nodeA, 'RUNNING', ports);
    await syncNodes(queries, membership(2, [node(nodeA, 'host-a2')]), ports);
    expect(await statuses(queries)).toEqual({ 'host-a2': 'RUNNING', 'host-b': 'DEACTIVATED' });
    await setNodeStatus(queries, nodeB, 'RUNNING', ports);
    expect(await statuses(queries)).toEqual({ 'host-a2': 'RUNNING', 'host-b': 'DEACTIVATED' });
  });

  it('does not go back to an older membership', async () => {
    const { database } = await migratedDatabase();
    await syncNodes(database.queries, membership(2, [node(nodeA, 'host-a')]), ports);
    await syncNodes(database.queries, membership(1, [node(nodeB, 'host-b')]), ports);
    expect(await statuses(database.queries)).toEqual({ 'host-a': 'PROVISIONED' });
  });
});

async function statuses(queries: Parameters<typeof listNodes>[0]) {
  return Object.fromEntries((await listNodes(queries)).map((row) => [row.name, row.status]));
}

const membership = (number: number, nodes: Membership['nodes']): Membership => ({
  number,
  nodes,
  currentEpoch: 1,
  keyGeneration: 1,
});

const node = (nodeId: string, name: string): Membership['nodes'][number] => ({
  nodeId,
  name,
  site: 'tokyo',
  credentialId: credential,
  hardwareIdentity: `software:${name}`,
  sealingProvider: 'software',
  grade: 'unattested',
  publicKey: Buffer.alloc(32).toString('base64'),
});
