import { pathToFileURL } from 'node:url';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { sealColumn, sealedColumnEpoch } from '#keys/sealed-column.ts';
import type { OpenedKeyring } from '#keys/keyring.ts';
import { createBackup } from '#operations/create-backup.ts';
import { evictNode } from '#operations/evict-node.ts';
import { findImport } from '#operations/find-import.ts';
import { finishImport } from '#operations/finish-import.ts';
import { openCluster, openOrCreateCluster } from '#operations/open-cluster.ts';
import { planEviction } from '#operations/plan-key-change.ts';
import { rotateKeys } from '#operations/rotate-keys.ts';
import { listAuditEvents } from '#store/audit.ts';
import { saveKeyringDocuments } from '#store/keyring-documents.ts';
import { listRestores } from '#store/restores.ts';
import { readSetting, saveSetting } from '#store/settings.ts';
import { tablesOf } from '#store/tables.ts';
import { crash } from '../crash/crashing.ts';
import { makeCluster } from '../fixtures/cluster.ts';
import { runCommand, startCommand } from '../fixtures/command.ts';
import { exportedSql } from '../fixtures/exporting.ts';
import { abortedContext, makeContext, temporaryDirectory, type TestHost } from '../fixtures/host.ts';
import { commandOn } from '../fixtures/host-command.ts';
import { enrolHosts } from '../fixtures/hosts.ts';
import { psqlUnavailable } from '../fixtures/psql.ts';
import { replayWhole } from '../fixtures/replaying.ts';
import { damage, objectsOfTable } from '../fixtures/repository.ts';
import { reopen } from '../fixtures/restoring.ts';
import { addUsers } from '../fixtures/rows.ts';
import { letExpire } from '../fixtures/shared-cluster.ts';

beforeEach((context) => {
  if (psqlUnavailable !== undefined) context.skip(psqlUnavailable);
});

const compared = { trust: { kind: 'compared' as const } };
const differs = 'table "settings" has other rows than the backup';
const smtp = { name: 'smtp', value: null, secret: Buffer.from('genuine') };
const place = { table: 'settings', column: 'sealed_secret', key: 'smtp' };

/** An export of before an eviction, and the keys that the evicted host kept. */
async function evictedAfterExport() {
  const { context, host } = await makeCluster();
  const [second] = (await enrolHosts(host, ['host-b'])) as [TestHost];
  const before = await reopen(context, host);
  await addUsers(before.database, 3);
  for (const setting of [smtp, { ...smtp, name: 'sms' }])
    await saveSetting(before.database.queries, before.keyring, setting, context);
  const { id } = await createBackup(context, before, { kind: 'manual' });
  const script = (await exportedSql(context, before, id)).sql.toString();
  const kept = await openCluster(context, second);
  await kept.database.close();
  await evictNode(context, host, before, (await planEviction(before, 'host-b')).node);
  return { context, host, script, kept: kept.keyring, id };
}

/** What the evicted host writes into the import, and proof that it got there. */
async function plant({ server }: TestHost, keyring: OpenedKeyring): Promise<void> {
  const database = server.open(server.liveName, { connections: 1 });
  const { randomness } = makeContext();
  const sealed = sealColumn(keyring.epochKeys(1), place, Buffer.from('planted'), randomness);
  const { numUpdatedRows } = await tablesOf(database)
    .updateTable('settings')
    .set({ sealed_secret: sealed })
    .where('name', '=', 'smtp')
    .executeTakeFirstOrThrow();
  expect(numUpdatedRows).toBe(1n);
  await database.close();
}

async function restoresIn({ server }: TestHost): Promise<number> {
  const database = server.open(server.liveName, { connections: 1 });
  const count = (await listRestores(database.queries)).length;
  await database.close();
  return count;
}

describe('a value that an evicted host seals into an import', () => {
  it.each(['import.compared', 'import.migrated'] as const)(
    'after a crash at %s keeps it from serving',
    async (point) => {
      const { context, host, script, kept } = await evictedAfterExport();
      const replayed = await replayWhole(host, script);
      const stopped = abortedContext({ point });
      await expect(finishImport(stopped.context, replayed, compared)).rejects.toBe(stopped.reason);
      await plant(replayed, kept);
      await expect(openOrCreateCluster(context, replayed)).rejects.toMatchObject({
        code: 'rows-differ',
        exitCode: 31,
        message: expect.stringContaining(differs) as string,
      });
      expect([(await findImport(replayed.server))?.state, await restoresIn(replayed)]).toEqual(['complete', 0]);
    },
  );

  it.each(['import.compared', 'import.migrated'] as const)(
    'after a process was killed at %s keeps it from serving, whatever command comes next',
    async (point) => {
      const { host, script, kept } = await evictedAfterExport();
      const replayed = await replayWhole(host, script);
      const command = await commandOn(replayed);
      await crash(['serve'], command, point);
      await letExpire(replayed);
      await plant(replayed, kept);
      const created = await runCommand(['backup', 'create', '--json'], command);
      expect(created.exitCode).toBe(31);
      expect(JSON.parse(created.stdout)).toMatchObject({
        error: { message: expect.stringContaining(differs) as string },
      });
      expect(await runCommand(['status', '--json'], command)).toMatchObject({ exitCode: 12 });
      const serve = startCommand(['serve'], command);
      onTestFinished(() => void serve.child.kill('SIGKILL'));
      await serve.saw(new RegExp(differs));
      expect([(await findImport(replayed.server))?.state, await restoresIn(replayed)]).toEqual(['complete', 0]);
    },
  );

  it('once its rows are compared keeps it from serving, and names the value', async () => {
    const { context, host, script, kept } = await evictedAfterExport();
    const replayed = await replayWhole(host, script);
    const confirm = async (): Promise<void> => await plant(replayed, kept);
    await expect(finishImport(context, replayed, { ...compared, confirm })).rejects.toMatchObject({
      code: 'rows-differ',
      message: "the sealed value settings.sealed_secret of smtp is not the backup's",
    });
    expect([(await findImport(replayed.server))?.state, await restoresIn(replayed)]).toEqual(['complete', 0]);
  });

  it('stays unreadable where a person accepts the import, and the audit log says so', async () => {
    const { context, host, script, kept } = await evictedAfterExport();
    const { keyring } = await reopen(context, host);
    const replayed = await replayWhole(host, script);
    const accepted = { kind: 'accepted' as const, clusterKey: keyring.fingerprint, older: false };
    const confirm = async (): Promise<void> => await plant(replayed, kept);
    expect(await finishImport(context, replayed, { trust: accepted, confirm })).toMatchObject({
      check: { differences: [], acceptedFor: keyring.fingerprint },
    });
    const served = await openCluster(context, replayed);
    onTestFinished(() => served.database.close());
    await expect(readSetting(served.database.queries, served.keyring, 'smtp')).rejects.toMatchObject({ exitCode: 20 });
    const [event] = await listAuditEvents(served.database.queries, { type: 'RESTORE' });
    expect(event?.details).toMatchObject({
      refusedSecrets: 1,
      firstRefused: ["the sealed value settings.sealed_secret of smtp is not the backup's"],
    });
  });

  it.each(['a damaged chunk', 'no repository'])(
    'stays unreadable, as the genuine ones do, where a person accepts the import and %s keeps it from being compared',
    async (cause) => {
      const { context, host, script, kept, id } = await evictedAfterExport();
      const { keyring } = await reopen(context, host);
      const replayed = await replayWhole(host, script);
      const on = await commandOn(replayed);
      if (cause === 'no repository') {
        on.env['ENCLAVE_MANAGER_REPOSITORY'] = pathToFileURL(temporaryDirectory()).href;
        // Documents are public: whoever writes rows can have them lead to the newest key.
        const database = replayed.server.open(replayed.server.liveName, { connections: 1 });
        await saveKeyringDocuments(database.queries, keyring.documents);
        await database.close();
      } else {
        damage(host, 'bit-flipped', await objectsOfTable(host, keyring, id, 'users'));
      }
      await plant(replayed, kept);
      const named = ['database', 'accept-import', '--cluster-key', keyring.fingerprint, '--yes'];
      const { exitCode, stderr } = await runCommand(named, on);
      const told = stderr.replaceAll(/\s+/g, ' ');
      expect([exitCode, told]).toEqual([
        0,
        expect.stringContaining('Secrets stay unreadable: hosts evicted since the backup could have made them'),
      ]);
      expect(told).toContain(cause === 'no repository' ? 'there is no repository' : 'has other bytes');
      const served = await openCluster(context, replayed);
      onTestFinished(() => served.database.close());
      for (const name of ['smtp', 'sms']) {
        const refused = `settings.sealed_secret of ${name} is sealed under epoch 1`;
        expect(told).toContain(`left as it is: The sealed value ${refused}`);
        await expect(readSetting(served.database.queries, served.keyring, name)).rejects.toMatchObject({
          code: 'forged',
          message: expect.stringContaining(refused) as string,
        });
      }
      const [event] = await listAuditEvents(served.database.queries, { type: 'RESTORE' });
      expect(event?.details).toMatchObject({ differences: [], refusedSecrets: 2 });
    },
  );

  it('keeps no secret from being sealed anew where the keys were rotated and nobody was evicted', async () => {
    const { context, host, cluster } = await makeCluster();
    await saveSetting(cluster.database.queries, cluster.keyring, smtp, context);
    const { id } = await createBackup(context, cluster, { kind: 'manual' });
    const script = (await exportedSql(context, cluster, id)).sql.toString();
    await rotateKeys(context, host, cluster);
    const { keyring } = await reopen(context, host);
    expect([keyring.currentEpoch.epoch, keyring.epochsSinceEviction]).toEqual([2, [1, 2]]);
    const replayed = { ...(await replayWhole(host, script)), store: undefined };
    const database = replayed.server.open(replayed.server.liveName, { connections: 1 });
    await saveKeyringDocuments(database.queries, keyring.documents);
    await database.close();
    const trust = { kind: 'accepted' as const, clusterKey: keyring.fingerprint, older: false };
    expect(await finishImport(context, replayed, { trust })).toMatchObject({
      check: { notCompared: 'there is no repository' },
    });
    const served = await openCluster(context, replayed);
    onTestFinished(() => served.database.close());
    expect((await readSetting(served.database.queries, served.keyring, 'smtp'))?.secret?.toString()).toBe('genuine');
  });

  it('is absent from an honest import, which seals anew what the backup holds', async () => {
    const { context, host, script } = await evictedAfterExport();
    const { cluster } = await openOrCreateCluster(context, await replayWhole(host, script));
    onTestFinished(() => cluster.database.close());
    expect((await readSetting(cluster.database.queries, cluster.keyring, 'smtp'))?.secret?.toString()).toBe('genuine');
    const row = await tablesOf(cluster.database).selectFrom('settings').select('sealed_secret').executeTakeFirst();
    expect(sealedColumnEpoch(place, row!.sealed_secret!)).toBe(2);
  });
});
