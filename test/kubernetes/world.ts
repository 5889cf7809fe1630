import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { StorageAccount } from '../fixtures/object-storage/storage-server.ts';
import type { Options } from './options.ts';
import { output } from './programs.ts';
import { Release, type Values } from './release.ts';
import type { Storage } from './storage.ts';
import type { Story } from './story.ts';

const credentialsSecret = 'enclave-manager-backup-credentials';
const hostKeysSecret = 'host-keys';

/** Where the story plays: the cluster, its hosts with their keys, and the object storage. */
export class World {
  readonly story: Story;
  readonly options: Options;
  readonly storage: Storage;
  /** Names of the hosts on which managers may run. */
  readonly hosts: readonly string[];
  /** Whose keys the managers use at present. */
  account: StorageAccount;
  readonly #run = randomBytes(3).toString('hex');
  readonly #keys: ReadonlyMap<string, Buffer>;
  readonly #namespaces: string[] = [];

  constructor(story: Story, options: Options, storage: Storage, hosts: readonly string[]) {
    this.story = story;
    this.options = options;
    this.storage = storage;
    this.hosts = hosts;
    this.account = storage.account;
    // They stand for the hardware: the same in every namespace, and never in the bucket.
    this.#keys = new Map(hosts.map((host) => [host, randomBytes(32)]));
  }

  /** A name that no other run uses. */
  name(what: string): string {
    return `em-test-${this.#run}-${what}`;
  }

  async createNamespace(what: string): Promise<string> {
    const name = this.name(what);
    await output('kubectl', ['create', 'namespace', name]);
    this.#namespaces.push(name);
    return name;
  }

  async createHostKeys(namespace: string): Promise<void> {
    const directory = mkdtempSync(join(tmpdir(), 'em-host-keys-'));
    try {
      for (const [host, key] of this.#keys) writeFileSync(join(directory, `${host}.key`), key, { mode: 0o600 });
      const files = this.hosts.map((host) => `--from-file=${join(directory, `${host}.key`)}`);
      await output('kubectl', ['-n', namespace, 'create', 'secret', 'generic', hostKeysSecret, ...files]);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  }

  async createCredentials(namespace: string): Promise<void> {
    const contents = literals(this.account);
    await output('kubectl', ['-n', namespace, 'create', 'secret', 'generic', credentialsSecret, ...contents]);
  }

  /** As an operator rotates them: the same secret, with other contents. */
  async replaceCredentials(namespace: string, account: StorageAccount): Promise<void> {
    const dry = ['--dry-run=client', '-o', 'yaml'];
    const secret = ['create', 'secret', 'generic', credentialsSecret, ...literals(account), ...dry];
    const manifest = await output('kubectl', ['-n', namespace, ...secret]);
    await output('kubectl', ['-n', namespace, 'apply', '-f', '-'], { input: manifest });
    this.account = account;
  }

  release(namespace: string, name: string, more: Values = {}): Release {
    return new Release(this.story, namespace, name, { ...this.#base(), ...more });
  }

  /** The backup values of the published steps. */
  backupValues(bucket: string, more: Values = {}): Values {
    return {
      'global.S3.Endpoint': this.storage.endpoint,
      'global.S3.Bucket': bucket,
      'global.S3.HmacSecretName': credentialsSecret,
      ...more,
    };
  }

  #base(): Values {
    const { managerImage, databaseImage, statePath } = this.options;
    return {
      'enclaveos-chart.Manager.Sealing': 'software',
      'enclaveos-chart.Manager.SoftwareKeySecretName': hostKeysSecret,
      'enclaveos-chart.Manager.StatePath': statePath,
      ...image('Manager', managerImage),
      ...image('CockroachDB', databaseImage),
      // Small, so that several fit on one host.
      'enclaveos-chart.Manager.Resources.requests.cpu': '50m',
      'enclaveos-chart.CockroachDB.Resources.requests.cpu': '50m',
      'enclaveos-chart.CockroachDB.Resources.requests.memory': '128Mi',
    };
  }

  /** With everything in it, its volumes too. */
  async removeNamespace(name: string): Promise<void> {
    await output('kubectl', ['delete', 'namespace', name, '--ignore-not-found', '--timeout=170s'], {
      timeoutMs: 180_000,
    });
  }

  async cleanUp(): Promise<void> {
    for (const name of this.#namespaces) await this.removeNamespace(name);
  }
}

function image(part: string, reference: string): Values {
  const colon = reference.lastIndexOf(':');
  return {
    [`enclaveos-chart.${part}.Image.Repository`]: reference.slice(0, colon),
    [`enclaveos-chart.${part}.Image.Tag`]: reference.slice(colon + 1),
  };
}

const literals = ({ accessKeyId, secretAccessKey }: StorageAccount): string[] => [
  `--from-literal=AWS_ACCESS_KEY_ID=${accessKeyId}`,
  `--from-literal=AWS_SECRET_ACCESS_KEY=${secretAccessKey}`,
];

/** Hosts that take pods. */
export async function findHosts(): Promise<string[]> {
  interface Node {
    readonly metadata: { readonly name: string };
    readonly spec: { readonly unschedulable?: boolean; readonly taints?: readonly { readonly effect: string }[] };
  }
  const { items } = JSON.parse(await output('kubectl', ['get', 'nodes', '-o', 'json'])) as { items: Node[] };
  const taken = ({ spec }: Node): boolean =>
    spec.unschedulable !== true && !(spec.taints ?? []).some(({ effect }) => effect !== 'PreferNoSchedule');
  return items.filter(taken).map(({ metadata }) => metadata.name);
}
