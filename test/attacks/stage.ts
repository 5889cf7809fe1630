import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, onTestFinished } from 'vitest';
import { connectPostgresql } from '#adapters/postgresql/postgresql-server.ts';
import { DirectoryStore } from '#adapters/filesystem/directory-store.ts';
import { chunkObjectPath, manifestPath } from '#format/layout.ts';
import type { KeyringDocument, OpenedKeyring } from '#keys/keyring.ts';
import { createBackup, type BackupResult } from '#operations/create-backup.ts';
import { readKeyringDocuments } from '#operations/open-repository.ts';
import { openOrCreateCluster } from '#operations/open-cluster.ts';
import { runCommand, startCommand, type CommandResult, type StartedCommand } from '../fixtures/command.ts';
import { dumpDatabase } from '../fixtures/dump.ts';
import { makeContext, makeHost, temporaryDirectory, type TestHost } from '../fixtures/host.ts';
import { freshDatabaseName, startTestServer } from '../fixtures/postgresql.ts';
import { chunkObjects, objectFile } from '../fixtures/repository.ts';
import { addSettings, addUsers } from '../fixtures/rows.ts';

/** A cluster of one host with two backups: what an attack begins from. Never changed; each attack gets a copy. */
export interface Stage {
  readonly host: TestHost;
  readonly keyring: OpenedKeyring;
  readonly older: BackupResult;
  readonly newest: BackupResult;
  /** The keyring as it lies in the repository. */
  readonly documents: readonly KeyringDocument[];
  /** The manifest of the newest backup, its chunks by object name, and the verifications, as they are stored. */
  readonly manifest: Buffer;
  readonly chunks: ReadonlyMap<string, Buffer>;
  readonly verifications: readonly Buffer[];
  /** The rows of the newest backup. */
  readonly rows: Readonly<Record<string, string[]>>;
}

/** Call it in `beforeAll`. `hardwareOf` makes another cluster on the hardware of a first one. */
export async function setStage({ hardwareOf }: { readonly hardwareOf?: Stage } = {}): Promise<Stage> {
  const directory = temporaryDirectory();
  if (hardwareOf !== undefined) copyKeys(hardwareOf, directory);
  const host = await makeHost({ directory });
  const context = makeContext();
  const { cluster } = await openOrCreateCluster(context, host);
  const { database, keyring } = cluster;
  try {
    await addSettings(database, 20);
    const older = await createBackup(context, cluster, { kind: 'manual' });
    await addUsers(database, 3);
    const newest = await createBackup(context, cluster, { kind: 'manual' });
    const rows = await dumpDatabase(database);
    const documents = await readKeyringDocuments(host.store);
    const read = (key: string): Buffer => readFileSync(objectFile(host, key));
    return {
      host,
      keyring,
      older,
      newest,
      rows,
      documents,
      manifest: read(manifestPath(newest.id)),
      chunks: new Map(chunkObjects(host).map((name) => [name, read(chunkObjectPath(name))])),
      verifications: readdirSync(objectFile(host, 'verifications')).map((name) => read(`verifications/${name}`)),
    };
  } finally {
    await database.close();
  }
}

function copyKeys({ host }: Pick<Stage, 'host'>, directory: string): void {
  cpSync(join(host.directory, 'keys'), join(directory, 'keys'), { recursive: true });
}

export interface SceneOptions {
  /** Whether the host has its own state, and so remembers its cluster; else it has the hardware alone. */
  readonly remembers?: boolean;
  /** Another database than one that does not exist yet. */
  readonly database?: string;
  /** A host with the repository, where that is not the one with the hardware. */
  readonly repositoryOf?: Pick<TestHost, 'directory'>;
}

/** One attack: a copy of a host and of its repository, in which the attacker may read, write and delete every byte. */
export class Scene {
  readonly dataDirectory: string;
  readonly repository: string;
  readonly database: string;
  readonly #planted = new Map<string, Buffer>();

  constructor(
    stage: { readonly host: Pick<TestHost, 'directory'> },
    { remembers = true, database = freshDatabaseName(), repositoryOf = stage.host }: SceneOptions = {},
  ) {
    this.dataDirectory = temporaryDirectory();
    this.repository = join(this.dataDirectory, 'backups');
    this.database = database;
    for (const part of remembers ? ['keys', 'state'] : ['keys'])
      cpSync(join(stage.host.directory, part), join(this.dataDirectory, part), { recursive: true });
    cpSync(join(repositoryOf.directory, 'backups'), this.repository, { recursive: true });
  }

  get store(): DirectoryStore {
    return new DirectoryStore(this.repository);
  }

  file(key: string): string {
    return join(this.repository, key);
  }

  read(key: string): Buffer {
    return readFileSync(this.file(key));
  }

  /** Puts bytes where a reader looks for them, in place of what was there. */
  plant(key: string, bytes: Uint8Array): void {
    rmSync(this.file(key), { recursive: true, force: true });
    mkdirSync(dirname(this.file(key)), { recursive: true });
    writeFileSync(this.file(key), bytes);
    this.#planted.set(key, Buffer.from(bytes));
  }

  remove(...keys: string[]): void {
    for (const key of keys) {
      expect(existsSync(this.file(key)), key).toBe(true);
      rmSync(this.file(key), { recursive: true });
    }
  }

  /** What was planted lies there still: nobody repaired or overwrote it, so the program met it. */
  expectPlanted(): void {
    expect(this.#planted.size).toBeGreaterThan(0);
    for (const [key, bytes] of this.#planted) expect(this.read(key).equals(bytes), key).toBe(true);
  }

  async environment(): Promise<Record<string, string>> {
    const { connection } = await startTestServer();
    const passwordFile = join(this.dataDirectory, 'password');
    writeFileSync(passwordFile, `${connection.password}\n`);
    return {
      ENCLAVE_MANAGER_DATABASE_URL: `postgres://${connection.user}@/${this.database}?host=${connection.host}`,
      ENCLAVE_MANAGER_DATABASE_PASSWORD_FILE: passwordFile,
      ENCLAVE_MANAGER_SEALING: 'software',
      ENCLAVE_MANAGER_NODE_NAME: 'host-a',
      ENCLAVE_MANAGER_DRILL_SCHEDULE: '',
    };
  }

  /** Runs a command as the host's operator does. */
  async run(...args: string[]): Promise<CommandResult> {
    return await this.runWith({}, ...args);
  }

  async runWith(more: Readonly<Record<string, string>>, ...args: string[]): Promise<CommandResult> {
    const env = { ...(await this.environment()), ...more };
    return await runCommand(args, { dataDirectory: this.dataDirectory, env });
  }

  /** Runs a command with `--json` that must fail, and gives its error. */
  async fail(...args: string[]): Promise<{ exitCode: number | null; code: string; message: string; hint: string }> {
    const { exitCode, stdout, stderr } = await this.run(...args, '--json');
    expect(exitCode, `${args.join(' ')}: ${stdout}${stderr}`).not.toBe(0);
    const { error } = JSON.parse(stdout) as { error: { code: string; message: string; hint: string } };
    return { exitCode, ...error };
  }

  /** Runs a command with `--json` that must work, and gives its document and what it said beside it. */
  async succeed(...args: string[]): Promise<{ document: unknown; said: string }> {
    return await this.succeedWith({}, ...args);
  }

  async succeedWith(
    more: Readonly<Record<string, string>>,
    ...args: string[]
  ): Promise<{ document: unknown; said: string }> {
    const { exitCode, stdout, stderr } = await this.runWith(more, ...args, '--json');
    expect(exitCode, `${args.join(' ')}: ${stdout}${stderr}`).toBe(0);
    return { document: JSON.parse(stdout), said: stderr };
  }

  async serve(): Promise<StartedCommand> {
    const serve = startCommand(['serve'], { dataDirectory: this.dataDirectory, env: await this.environment() });
    onTestFinished(async () => {
      serve.child.kill('SIGKILL');
      await serve.ended;
    });
    return serve;
  }

  /** The rows of this scene's database, once there is one. */
  async rows(): Promise<Record<string, string[]> | undefined> {
    const { connection } = await startTestServer();
    const server = await connectPostgresql({ server: { ...connection, database: this.database } });
    try {
      if ((await server.databaseIdentity(this.database)) === undefined) return undefined;
      const database = server.open(this.database, { connections: 1 });
      try {
        return await dumpDatabase(database);
      } finally {
        await database.close();
      }
    } finally {
      await server.close();
    }
  }
}

/** The genuine newest backup comes back whole, whatever else lies in the repository. */
export async function expectRestores(scene: Scene, stage: Stage, ...options: string[]): Promise<void> {
  const { document } = await scene.succeed('restore', 'run', 'latest', '--yes', ...options);
  expect(document).toMatchObject({ backupId: stage.newest.id, rows: stage.newest.rows });
  expect(await scene.rows()).toEqual(stage.rows);
}

/** A restore that is refused leaves no database behind. */
export async function expectRefused(
  scene: Scene,
  refusal: { readonly exitCode: number; readonly code: string; readonly message: string | RegExp },
  ...args: string[]
): Promise<void> {
  const { exitCode, code, message } = await scene.fail(...args);
  expect({ exitCode, code, message }).toEqual({ ...refusal, message: expect.stringMatching(refusal.message) });
  expect(await scene.rows()).toBeUndefined();
}
