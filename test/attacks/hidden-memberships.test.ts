import { readdirSync, readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { openLocalState } from '#adapters/data-directory/local-state.ts';
import { manifestPath } from '#format/layout.ts';
import type { KeyringDocument, OpenedKeyring } from '#keys/keyring.ts';
import { membersSchema } from '#keys/payloads.ts';
import { createBackup, type BackupResult } from '#operations/create-backup.ts';
import { evictNode } from '#operations/evict-node.ts';
import { openCluster, openOrCreateCluster } from '#operations/open-cluster.ts';
import { openRepository } from '#operations/open-repository.ts';
import { planEviction } from '#operations/plan-key-change.ts';
import { readManifest } from '#operations/read-manifest.ts';
import { rotateKeys } from '#operations/rotate-keys.ts';
import { runCommand } from '../fixtures/command.ts';
import { commandOn } from '../fixtures/host-command.ts';
import { makeContext, makeHost, type TestHost } from '../fixtures/host.ts';
import { enrolHosts, withCluster } from '../fixtures/hosts.ts';
import { objectFile } from '../fixtures/repository.ts';
import { addUsers } from '../fixtures/rows.ts';
import { expectRefused, Scene } from './stage.ts';

const context = makeContext();
const run = ['restore', 'run', 'latest', '--yes'];
const namesOf = ({ membership }: OpenedKeyring): string[] => membership.nodes.map(({ name }) => name);

/**
 * host-a evicts host-c and then rotates the keys, while host-b is switched off. The database is lost, and who can delete
 * objects takes away every membership that does not name host-c: nothing is forged, and the highest that is left names it.
 */
describe('memberships deleted since an eviction', () => {
  let [host, second, third]: TestHost[] = [];
  /** As the evicted host has it from before, and as it is after. */
  let [evicted, keyring]: OpenedKeyring[] = [];
  let [before, fresh]: BackupResult[] = [];
  let [naming, others]: string[][] = [];

  beforeAll(async () => {
    host = await makeHost();
    const { cluster } = await openOrCreateCluster(context, host);
    await addUsers(cluster.database, 20);
    await cluster.database.close();
    [second, third] = await enrolHosts(host, ['host-b', 'host-c']);
    evicted = await withCluster(third!, (opened) => Promise.resolve(opened.keyring));
    before = await withCluster(host, (opened) => createBackup(context, opened, { kind: 'manual' }));
    const { node } = await withCluster(host, (opened) => planEviction(opened, 'host-c'));
    await withCluster(host, (opened) => evictNode(context, host!, opened, node));
    await withCluster(host, (opened) => rotateKeys(context, host!, opened));
    const last = await openCluster(context, host);
    fresh = await createBackup(context, last, { kind: 'manual' });
    keyring = last.keyring;
    await last.database.close();
    expect([keyring.keyGeneration, namesOf(keyring)]).toEqual([3, ['host-a', 'host-b']]);

    const memberships = keyring.documents.filter(({ path }) => path.startsWith('keyring/members/'));
    const namesEvicted = ({ bytes }: KeyringDocument): boolean =>
      membersSchema.parse(last.keyring.verify('members', bytes)).nodes.some(({ nodeId }) => nodeId === node.nodeId);
    naming = memberships.filter(namesEvicted).map(({ path }) => path);
    others = memberships.filter((document) => !namesEvicted(document)).map(({ path }) => path);
  }, 240_000);

  /** Also the newest backup, which carries copies of all of them. */
  function deleteIn(scene: Scene): void {
    expect([naming!.length, others!.length]).toEqual([1, 6]);
    scene.remove(...others!, manifestPath(fresh!.id));
    expect(readdirSync(scene.file('keyring/members')).map((name) => `keyring/members/${name}`)).toEqual(naming);
  }

  /** A backup made after the restore, and everything that host-c can try with its disk beside that database. */
  async function expectEvicted(scene: Scene): Promise<void> {
    const nodes = (await scene.succeed('node', 'list')).document as { name: string }[];
    expect(nodes.map(({ name }) => name)).toEqual(['host-a', 'host-b']);
    const { id, clusterKey } = (await scene.succeed('backup', 'create')).document as BackupResult;
    expect(clusterKey).toBe(keyring!.fingerprint);

    const now = (await openRepository(scene.store, third!.sealing)).keyring;
    expect([now.nodeId, now.isMember, now.keyGeneration]).toEqual([evicted!.nodeId, false, 3]);
    expect(() => now.epochKeys(now.newestEpoch)).toThrow(expect.objectContaining({ code: 'no-key', exitCode: 21 }));
    expect(() => now.sign('manifest', {})).toThrow(expect.objectContaining({ code: 'not-permitted', exitCode: 40 }));
    await expect(readManifest(scene.store, now, id)).rejects.toMatchObject({ code: 'no-key', exitCode: 21 });
    for (const epoch of now.epochs.filter((each) => each > 1))
      expect(readdirSync(scene.file(`keyring/epochs/${epoch}`)).join()).not.toContain(evicted!.nodeId);
    const stored = JSON.parse(readFileSync(objectFile(host!, manifestPath(before!.id)), 'utf8')) as { payload: string };
    const payload = { ...(JSON.parse(stored.payload) as object), changed: true };
    scene.plant(manifestPath(before!.id), evicted!.sign('manifest', payload));
    const listed = (await scene.succeed('backup', 'list')).document as { id: string; openableBy: string[] }[];
    expect(listed).toMatchObject([{ id, openableBy: [keyring!.nodeId, nodeOfSecond()] }]);
    expect((await scene.fail('backup', 'verify', before!.id)).exitCode).toBe(20);
  }

  const nodeOfSecond = (): string => keyring!.membership.nodes.find(({ name }) => name === 'host-b')!.nodeId;

  it('do not bring that host back by a restore on an empty machine', async () => {
    const scene = new Scene({ host: host! }, { remembers: false });
    deleteIn(scene);
    const { exitCode, stdout, stderr } = await scene.run(...run, '--cluster-key', keyring!.fingerprint);
    expect([exitCode, stdout]).toEqual([0, expect.stringContaining(before!.id)]);
    expect(stderr.replaceAll(/\s+/g, ' ')).toContain(
      'warning: memberships after number 3 were deleted or hidden, and no backup carries them',
    );
    await expectEvicted(scene);
    // They turn up again and contradict nothing: what was signed since is numbered beyond them.
    for (const path of others!) scene.plant(path, readFileSync(objectFile(host!, path)));
    const { membershipNumber } = (await scene.succeed('keys', 'status')).document as { membershipNumber: number };
    expect(membershipNumber).toBeGreaterThan(7);
    scene.expectPlanted();
    const repository = scene.repository;
    const onThird = await makeHost({ directory: third!.directory, liveName: scene.database, repository });
    for (const args of [['backup', 'create'], run])
      expect(await runCommand(args, await commandOn(onThird)), args.join(' ')).toMatchObject({ exitCode: 40 });
  });

  it('are read from the newest backup, which carries them, where that is left', async () => {
    const scene = new Scene({ host: host! }, { remembers: false });
    scene.remove(...others!);
    await scene.succeed(...run, '--cluster-key', keyring!.fingerprint);
    const status = (await scene.succeed('keys', 'status')).document;
    expect(status).toMatchObject({ membershipNumber: 7, currentEpoch: 3, change: { interrupted: false } });
  });

  it('are missed by a host that has seen them, which goes on without them only where a person names the cluster key', async () => {
    const scene = new Scene({ host: host! });
    deleteIn(scene);
    const message = /this host has seen membership 7 of the cluster; file:\S+ leads only to membership 3: newer ones/;
    const named = ['--cluster-key', keyring!.fingerprint, '--accept-missing-after', '1'];
    await expectRefused(scene, { exitCode: 20, code: 'forged', message }, ...run, '--accept-missing-after', '1');
    const { document: plan } = await scene.succeed('restore', 'plan', 'latest');
    expect(plan).toMatchObject({ obstacles: expect.arrayContaining([expect.stringMatching(/^T.*membership 7/)]) });

    await scene.succeed(...run, ...named);
    // Nobody has to name it again: the cluster went on beyond what was seen.
    const status = (await scene.succeed('keys', 'status')).document as { membershipNumber: number };
    expect(status.membershipNumber).toBeGreaterThan(7);
    expect((await openLocalState(scene.dataDirectory).read())?.highestMembership).toBe(status.membershipNumber);
    await expectEvicted(scene);
  });

  it('do not bring it back by a restore on a host that was off', async () => {
    const scene = new Scene({ host: second! }, { repositoryOf: host! });
    deleteIn(scene);
    const { document } = await scene.succeed(...run, '--cluster-key', keyring!.fingerprint);
    expect(document).toMatchObject({ backupId: before!.id });
    await expectEvicted(scene);
  });
});

describe('memberships hidden since an enrolment that no backup carries', () => {
  it('are missed by the host that they name: it is not told that it was evicted', async () => {
    const host = await makeHost();
    const { cluster } = await openOrCreateCluster(context, host);
    await createBackup(context, cluster, { kind: 'manual' });
    await cluster.database.close();
    const [second] = await enrolHosts(host, ['host-b']);
    await withCluster(second!, () => Promise.resolve());
    const scene = new Scene({ host: second! }, { repositoryOf: host });
    const hidden = readdirSync(scene.file('keyring/members')).filter((name) => name !== '1.json');
    expect(hidden).not.toEqual([]);
    scene.remove(...hidden.map((name) => `keyring/members/${name}`));

    const message = /this host has seen membership \d+ of the cluster; file:\S+ leads only to membership 1: newer ones/;
    await expectRefused(scene, { exitCode: 20, code: 'forged', message }, ...run);
  });
});
