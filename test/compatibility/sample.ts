import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { productVersion } from '#model/product.ts';
import { createBackup } from '#operations/create-backup.ts';
import { evictNode } from '#operations/evict-node.ts';
import { planEviction } from '#operations/plan-key-change.ts';
import { rotateKeys } from '#operations/rotate-keys.ts';
import { saveSetting } from '#store/settings.ts';
import { makeCluster } from '../fixtures/cluster.ts';
import { dumpDatabase } from '../fixtures/dump.ts';
import type { TestHost } from '../fixtures/host.ts';
import { enrolHosts } from '../fixtures/hosts.ts';
import { reopen } from '../fixtures/restoring.ts';
import { addSettings, addUsers } from '../fixtures/rows.ts';

/** Compared after a restore; the tables of the keyring are those of the newest membership. */
export const comparedTables = ['users', 'apps', 'builds', 'tasks', 'certificates', 'api_tokens'] as const;
export const secretSetting = { name: 'smtp', secret: 'the secret of a setting' };

export interface Sample {
  readonly productVersion: string;
  /** Of the first host, with software sealing; hex. */
  readonly hostKey: string;
  /** Names of the members, and the key of a host that was evicted between the backups; samples of only one host have neither. */
  readonly members?: readonly string[];
  readonly evictedKey?: string;
  readonly clusterKey: string;
  readonly backups: readonly {
    readonly id: string;
    readonly sequence: number;
    readonly rows: number;
    readonly tables: Readonly<Record<string, readonly string[]>>;
  }[];
}

/**
 * A repository as this version writes it: rows of several kinds, a sealed column, three hosts, and backups before and after the
 * eviction of one of them and a rotation.
 */
export async function makeSample(directory: string): Promise<void> {
  const { context, host, cluster } = await makeCluster();
  const [, evicted] = (await enrolHosts(host, ['host-b', 'host-c'])) as [TestHost, TestHost];
  const backups: Sample['backups'][number][] = [];
  await addSettings(cluster.database, 3);
  const setting = {
    name: secretSetting.name,
    value: { host: 'mail.example' },
    secret: Buffer.from(secretSetting.secret),
  };
  await saveSetting(cluster.database.queries, cluster.keyring, setting, context);
  for (const generation of [1, 3]) {
    const current = await reopen(context, host);
    await addUsers(current.database, 4, `generation-${generation}.example`);
    const { id, sequence, rows } = await createBackup(context, current, { kind: 'manual' });
    const dump = await dumpDatabase(current.database);
    const tables = Object.fromEntries(comparedTables.map((table) => [table, dump[table]!]));
    backups.push({ id, sequence, rows, tables });
    if (generation > 1) continue;
    await evictNode(context, host, current, (await planEviction(current, 'host-c')).node);
    await rotateKeys(context, host, await reopen(context, host));
  }
  const { keyring } = await reopen(context, host);
  const keyOf = (each: TestHost): string => readFileSync(join(each.directory, 'keys/host.key')).toString('hex');
  const members = keyring.membership.nodes.map(({ name }) => name);
  const keys = { hostKey: keyOf(host), evictedKey: keyOf(evicted), clusterKey: keyring.fingerprint };
  const sample: Sample = { productVersion, ...keys, members, backups };
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  cpSync(join(host.directory, 'backups'), join(directory, 'repository'), { recursive: true });
  writeFileSync(join(directory, 'expected.json'), `${JSON.stringify(sample, null, 2)}\n`);
}
