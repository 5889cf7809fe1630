import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { CrashPoint } from '#model/crash-point.ts';
import { acceptDatabase } from '#operations/accept-database.ts';
import { createBackup } from '#operations/create-backup.ts';
import { finishImport } from '#operations/finish-import.ts';
import { openCluster, openOrCreateCluster } from '#operations/open-cluster.ts';
import { rotateKeys } from '#operations/rotate-keys.ts';
import { listAuditEvents } from '#store/audit.ts';
import { readImportMarker } from '#store/import-marker.ts';
import { runCommand } from '../fixtures/command.ts';
import { exportedSql } from '../fixtures/exporting.ts';
import { commandOn } from '../fixtures/host-command.ts';
import { makeContext, makeHost, temporaryDirectory, type TestHost } from '../fixtures/host.ts';
import { enrolHosts, withCluster } from '../fixtures/hosts.ts';
import { psqlUnavailable } from '../fixtures/psql.ts';
import { replayWhole } from '../fixtures/replaying.ts';
import { addUsers } from '../fixtures/rows.ts';

beforeEach((context) => {
  if (psqlUnavailable !== undefined) context.skip(psqlUnavailable);
});

const context = makeContext();
const confirm = async (): Promise<void> => {};

/** An export, what the same rows are without its marker, and what a host remembered before and after the keys changed. */
let made: {
  readonly host: TestHost;
  readonly script: string;
  readonly copy: string;
  readonly enrolled: string;
  readonly rotated: string;
  readonly key: string;
  readonly newerKey: string;
};

beforeAll(async () => {
  const host = await makeHost();
  const { cluster } = await openOrCreateCluster(context, host);
  await addUsers(cluster.database, 5);
  const { id, clusterKey: key } = await createBackup(context, cluster, { kind: 'manual' });
  const script = (await exportedSql(makeContext(), cluster, id)).sql.toString();
  const copy = script
    .replace(/CREATE TABLE import_marker [^;]*;\n/, '')
    .replaceAll(/(INSERT INTO|UPDATE) import_marker [^;]*;\n/g, '');
  expect(copy).not.toContain('import_marker');
  await cluster.database.close();

  await enrolHosts(host, ['host-b']);
  await withCluster(host, () => Promise.resolve());
  expect(await host.localState.read()).toMatchObject({ clusterKey: key, highestMembership: 2 });
  const enrolled = hardwareAndState(host.directory);
  await withCluster(host, (opened) => rotateKeys(context, host, opened));
  const newerKey = (await host.localState.read())!.clusterKey;
  expect(newerKey).not.toBe(key);
  made = { host, script, copy, enrolled, rotated: hardwareAndState(host.directory), key, newerKey };
}, 240_000);

function hardwareAndState(directory: string): string {
  const copied = temporaryDirectory();
  for (const part of ['keys', 'state']) cpSync(join(directory, part), join(copied, part), { recursive: true });
  return copied;
}

/** The host with what it remembers, and rows that were replayed; the repository is lost. */
async function replayed(sql: string, remembering: string): Promise<TestHost> {
  const directory = hardwareAndState(remembering);
  const { server } = await replayWhole(made.host, sql, { directory });
  return await makeHost({ directory, liveName: server.liveName });
}

/** It takes over an empty repository and backs up. */
async function expectServes(host: TestHost, clusterKey: string): Promise<void> {
  const { cluster, outcome } = await openOrCreateCluster(makeContext(), host);
  try {
    expect([outcome, cluster.keyring.fingerprint]).toEqual(['adopted', clusterKey]);
    expect(await createBackup(makeContext(), cluster, { kind: 'manual' })).toMatchObject({ clusterKey });
  } finally {
    await cluster.database.close();
  }
}

const givenUp = async (host: TestHost): Promise<unknown> =>
  await withCluster(host, async ({ database }) => {
    const [event] = await listAuditEvents(database.queries, { type: 'RESTORE' });
    return event?.details;
  });

const outdated = {
  code: 'forged',
  exitCode: 20,
  message: expect.stringContaining('this host has seen the cluster key') as string,
  hint: expect.stringContaining('database accept-import --cluster-key FINGERPRINT --older') as string,
};

describe('where nothing is left but rows from before a host was enrolled', () => {
  it('each message leads on, and the one that names the key makes them serve', async () => {
    const host = await replayed(made.copy, made.enrolled);
    const on = await commandOn(host);
    const named = ['--cluster-key', made.key];
    const unnamed = await runCommand(['keys', 'status'], on);
    expect([unnamed.exitCode, unnamed.stderr]).toEqual([20, expect.stringContaining('membership 2')]);
    for (const way of ['keys status', 'restore run latest', 'database accept-import'])
      expect(unnamed.stderr.replaceAll(/\s+/g, ' ')).toContain(`${way} --cluster-key FINGERPRINT`);
    const status = await runCommand(['keys', 'status', ...named], on);
    expect([status.exitCode, status.stderr]).toEqual([12, expect.stringContaining('database accept-import')]);

    const accepted = await runCommand(['database', 'accept-import', ...named, '--yes', '--json'], on);
    expect([accepted.exitCode, accepted.stderr]).toEqual([0, expect.anything()]);
    expect(JSON.parse(accepted.stdout)).toMatchObject({ backupId: null, clusterKey: made.key, compared: false });

    // Nobody has to name it again: the cluster went on beyond what was seen.
    await withCluster(host, ({ keyring: { membership } }) => {
      expect([membership.number, membership.nodes.map(({ name }) => name)]).toEqual([3, ['host-a']]);
      return Promise.resolve();
    });
    expect(await givenUp(host)).not.toHaveProperty('clusterKeyGivenUp');
    await expectServes(host, made.key);
  });
});

describe('where nothing is left but rows from before the keys changed', () => {
  it('an export serves when a person names its key and says that it is older, not with either alone', async () => {
    const host = await replayed(made.script, made.rotated);
    await expect(openOrCreateCluster(context, host)).rejects.toMatchObject(outdated);
    const accepting = async (clusterKey: string, older: boolean) =>
      await finishImport(context, host, { trust: { kind: 'accepted', clusterKey, older }, confirm });
    await expect(accepting(made.key, false)).rejects.toMatchObject(outdated);
    await expect(accepting(made.newerKey, true)).rejects.toMatchObject({ code: 'forged', exitCode: 20 });
    expect((await host.localState.read())?.clusterKey).toBe(made.newerKey);

    const command = ['database', 'accept-import', '--cluster-key', made.key, '--older', '--yes'];
    const { exitCode, stderr } = await runCommand(command, await commandOn(host));
    expect(exitCode, stderr).toBe(0);
    expect((await host.localState.read())?.clusterKey).toBe(made.key);
    expect(await givenUp(host)).toMatchObject({ acceptedFor: made.key, clusterKeyGivenUp: made.newerKey });
    await expectServes(host, made.key);
  });

  it('so do rows without a marker', async () => {
    const host = await replayed(made.copy, made.rotated);
    const options = { clusterKey: made.key, confirm };
    await expect(acceptDatabase(context, host, options)).rejects.toMatchObject(outdated);
    const wrong = { ...options, clusterKey: made.newerKey, older: true };
    await expect(acceptDatabase(context, host, wrong)).rejects.toMatchObject({ code: 'forged', exitCode: 20 });

    const accepted = await acceptDatabase(context, host, { ...options, older: true });
    expect(accepted).toMatchObject({ clusterKey: made.key });
    expect((await host.localState.read())?.clusterKey).toBe(made.key);
    expect(await givenUp(host)).toMatchObject({ acceptedFor: made.key, clusterKeyGivenUp: made.newerKey });
    await expectServes(host, made.key);
  });

  it('a host that was killed before it noted that is told how to go on', async () => {
    const host = await replayed(made.script, made.rotated);
    const reach = (point: CrashPoint): void => {
      if (point === 'import.finished') throw new Error('killed');
    };
    const trust = { kind: 'accepted', clusterKey: made.key, older: true } as const;
    const killed = finishImport(makeContext({ crashPoints: { reach } }), host, { trust, confirm });
    await expect(killed).rejects.toThrow('killed');
    await expect(openCluster(context, host)).rejects.toMatchObject(outdated);

    const on = await commandOn(host);
    const repeated = ['database', 'accept-import', '--cluster-key', made.key, '--older', '--yes', '--json'];
    const again = await runCommand(repeated, on);
    expect([again.exitCode, JSON.parse(again.stdout)]).toMatchObject([
      3,
      {
        error: { code: 'not-found', hint: expect.stringContaining('keys status --cluster-key FINGERPRINT') as string },
      },
    ]);
    const status = await runCommand(['keys', 'status', '--cluster-key', made.key], on);
    expect(status.exitCode, status.stderr).toBe(0);
    await expectServes(host, made.key);
  });

  it.each(['script', 'copy'] as const)(
    'the older key does not count while the newer one is at hand (%s)',
    async (sql) => {
      const directory = hardwareAndState(made.rotated);
      const host = await replayWhole(made.host, made[sql], { directory });
      const { key: clusterKey } = made;
      const accepting =
        sql === 'script'
          ? finishImport(context, host, { trust: { kind: 'accepted', clusterKey, older: true }, confirm })
          : acceptDatabase(context, host, { clusterKey, older: true, confirm });
      await expect(accepting).rejects.toMatchObject({
        code: 'forged',
        exitCode: 20,
        message: expect.stringContaining(made.newerKey) as string,
      });
      const database = host.server.open(host.server.liveName, { connections: 1 });
      expect((await readImportMarker(database)) !== undefined).toBe(sql === 'script');
      await database.close();
    },
  );
});
