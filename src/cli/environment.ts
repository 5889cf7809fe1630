import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import {
  requireConfiguration,
  type Configuration,
  type InspectedConfiguration,
  type StoredRepository,
} from '#config/configuration.ts';
import type { Cluster, Host, OperationContext } from '#operations/context.ts';
import type { NewOutputFile } from '#ports/byte-sink.ts';
import type { CatalogCache } from '#ports/catalog-cache.ts';
import type { DatabaseServer } from '#ports/database.ts';
import type { LocalState } from '#ports/local-state.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import type { StoreExaminer } from '#ports/store-examiner.ts';
import type { ScratchServers } from '#ports/scratch-server.ts';
import type { Sealing } from '#ports/sealing.ts';
import type { StartReport } from '#operations/start-report.ts';
import type { Output } from './output/output.ts';

/** A provider, and why it is this one. */
export interface OpenedSealing {
  readonly sealing: Sealing;
  readonly why: string;
}

/** How the adapters are made; `main.ts` knows them. Nothing is opened before a command asks for it. */
export interface Adapters {
  /**
   * The running manager's embedded server, else one started for this command and stopped after it, or the external one.
   * `create` may make the embedded server's files where there are none; without it that is `database-unreachable`.
   */
  openServer(configuration: Configuration, options: { readonly create: boolean }): Promise<DatabaseServer>;
  openStore(repository: StoredRepository, configuration: Configuration): Promise<ObjectStore>;
  openStoreExaminer(repository: StoredRepository): Promise<StoreExaminer>;
  /** `joining`: before enrolment, which may choose another provider than the one before. */
  openSealing(configuration: Configuration, options: { readonly joining: boolean }): Promise<OpenedSealing>;
  openLocalState(configuration: Configuration): LocalState;
  openCatalogCache(configuration: Configuration): CatalogCache;
  openScratchServers(configuration: Configuration): ScratchServers;
  /** What lies on one disk and so is lost with it; see `model/health.ts`. */
  findOnOneDisk(configuration: Configuration): Promise<readonly string[]>;
  /** The text of a file, or of standard input for `-`; at most 64 KiB. */
  readInput(source: string): Promise<string>;
  /** A file that does not exist yet, for what a command writes. */
  createOutputFile(path: string): Promise<NewOutputFile>;
  /** Runs until the signal; `announce` is called once, when everything is up. */
  serve(configuration: Configuration, context: OperationContext, hooks: ServeHooks): Promise<void>;
}

export interface ServeHooks {
  announce(report: StartReport): void;
  /** One line for the log. */
  log(message: string): void;
}

/** What a command may use. Everything opened is closed after it, in reverse order. */
export class Environment {
  readonly inspected: InspectedConfiguration;
  readonly output: Output;
  readonly context: OperationContext;
  readonly #adapters: Adapters;
  readonly #open: { close(): Promise<void> }[] = [];
  #server: Promise<DatabaseServer> | undefined;
  #store: Promise<ObjectStore> | undefined;

  constructor(parts: {
    readonly inspected: InspectedConfiguration;
    readonly output: Output;
    readonly context: OperationContext;
    readonly adapters: Adapters;
  }) {
    this.inspected = parts.inspected;
    this.output = parts.output;
    this.context = parts.context;
    this.#adapters = parts.adapters;
  }

  /** Throws `configuration` or `usage` naming every wrong setting; only `config show` works without. */
  get configuration(): Configuration {
    return requireConfiguration(this.inspected);
  }

  async server(options: { readonly create: boolean } = { create: false }): Promise<DatabaseServer> {
    this.#server ??= this.#keep(this.#adapters.openServer(this.configuration, options));
    return await this.#server;
  }

  /** `configuration` where backups are switched off. */
  async store(): Promise<ObjectStore> {
    const store = await this.storeIfAny();
    if (store !== undefined) return store;
    throw withoutRepository();
  }

  async storeExaminer(): Promise<StoreExaminer> {
    const { repository } = this.configuration;
    if (repository.kind === 'none') throw withoutRepository();
    return await this.#keep(this.#adapters.openStoreExaminer(repository));
  }

  async storeIfAny(): Promise<ObjectStore | undefined> {
    const { repository } = this.configuration;
    if (repository.kind === 'none') return undefined;
    this.#store ??= this.#keep(this.#adapters.openStore(repository, this.configuration));
    return await this.#store;
  }

  async sealing(): Promise<Sealing> {
    return (await this.#adapters.openSealing(this.configuration, { joining: false })).sealing;
  }

  localState(): LocalState {
    return this.#adapters.openLocalState(this.configuration);
  }

  catalogCache(): CatalogCache {
    return this.#adapters.openCatalogCache(this.configuration);
  }

  scratchServers(): ScratchServers {
    return this.#adapters.openScratchServers(this.configuration);
  }

  async host(options?: { readonly create: boolean }): Promise<Host> {
    return await this.#hostWith(await this.sealing(), options);
  }

  async #hostWith(sealing: Sealing, options?: { readonly create: boolean }): Promise<Host> {
    const { nodeName, site } = this.configuration;
    return {
      server: await this.server(options),
      store: await this.storeIfAny(),
      sealing,
      localState: this.localState(),
      node: { name: nodeName, site: site ?? null },
    };
  }

  /** This host as it is about to be enrolled: what seals its key is decided now, and said. */
  async joiningHost(): Promise<Host> {
    const { sealing, why } = await this.#adapters.openSealing(this.configuration, { joining: true });
    this.output.note(`the key of this host is going to be sealed by ${sealing.provider}: ${why}`);
    return await this.#hostWith(sealing);
  }

  /**
   * The cluster of the live database, with its keys open; what a change of the keys left to do on this host is done. A
   * replayed export there is checked first, unless the command changes nothing: it then throws `import-pending`.
   */
  async cluster(options: { readonly finishImport?: boolean; readonly clusterKey?: string } = {}): Promise<Cluster> {
    const { openCluster } = await import('#operations/open-cluster.ts');
    const { tendKeysIfPossible } = await import('#operations/tend-keys.ts');
    const host = await this.host();
    const cluster = await openCluster(this.context, host, options);
    this.#open.push(cluster.database);
    return await tendKeysIfPossible(this.context, host, cluster);
  }

  async findOnOneDisk(): Promise<readonly string[]> {
    return await this.#adapters.findOnOneDisk(this.configuration);
  }

  async readInput(source: string): Promise<string> {
    return await this.#adapters.readInput(source);
  }

  async createOutputFile(path: string): Promise<NewOutputFile> {
    return await this.#adapters.createOutputFile(path);
  }

  /** Returns when it was told to stop. */
  async serve(announce: (report: StartReport) => void): Promise<void> {
    const log = (message: string): void => this.output.note(`${this.context.clock.now().toISOString()} ${message}`);
    await this.#adapters.serve(this.configuration, this.context, { announce, log });
  }

  async close(): Promise<void> {
    for (const resource of this.#open.splice(0).toReversed()) await resource.close();
  }

  async #keep<T extends { close(): Promise<void> }>(opening: Promise<T>): Promise<T> {
    const resource = await opening;
    this.#open.push(resource);
    return resource;
  }
}

const withoutRepository = (): EnclaveManagerError =>
  new EnclaveManagerError('configuration', 'ENCLAVE_MANAGER_REPOSITORY=none: there is no repository to work with', {
    hint: 'Set ENCLAVE_MANAGER_REPOSITORY to a directory or a bucket, or unset it.',
  });
