import { ListObjectsV2Command, type S3Client } from '@aws-sdk/client-s3';
import { toEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { S3Credentials, S3Settings } from '#model/s3-settings.ts';
import { openClient } from './client.ts';
import { credentialsVersion, readIdentity, sameIdentity, type Identity } from './credentials.ts';
import type { S3Limits } from './limits.ts';

/**
 * The client in use, and its replacement when the files with the credentials change. New credentials must first list the
 * repository; while they cannot, such as when only one of two files has been written, the old ones stay in use.
 */
export class Connector {
  readonly settings: S3Settings;
  readonly #credentials: S3Credentials;
  readonly #limits: S3Limits;
  #identity: Identity;
  #version: string;
  #client: S3Client;
  #lookedAtMs = performance.now();
  #changing: Promise<void> | undefined;
  #refused: string | undefined;

  constructor(settings: S3Settings, limits: S3Limits, credentials = settings.credentials) {
    this.settings = settings;
    this.#credentials = credentials;
    this.#limits = limits;
    this.#version = credentialsVersion(credentials);
    this.#identity = readIdentity(credentials);
    this.#client = openClient(settings, this.#identity, limits);
  }

  /** Why credentials that lie in the files are not in use; for error messages. */
  get refusedCredentials(): string | undefined {
    return this.#refused;
  }

  get accessKeyId(): string {
    return this.#identity.accessKeyId;
  }

  async client(): Promise<S3Client> {
    if (performance.now() - this.#lookedAtMs >= this.#limits.credentialsLookMs) await this.renew();
    return this.#client;
  }

  /** Takes changed credentials into use; resolves with whether there were any that work. */
  async renew(): Promise<boolean> {
    const before = this.#client;
    this.#changing ??= this.#look().finally(() => {
      this.#changing = undefined;
    });
    await this.#changing;
    return this.#client !== before;
  }

  close(): void {
    this.#client.destroy();
  }

  async #look(): Promise<void> {
    this.#lookedAtMs = performance.now();
    const version = credentialsVersion(this.#credentials);
    if (version === this.#version && this.#refused === undefined) return;
    try {
      const identity = readIdentity(this.#credentials);
      if (!sameIdentity(identity, this.#identity)) await this.#replace(identity);
      this.#version = version;
      this.#refused = undefined;
    } catch (error) {
      this.#refused = toEnclaveManagerError(error).message;
    }
  }

  async #replace(identity: Identity): Promise<void> {
    const client = openClient(this.settings, identity, this.#limits);
    const { bucket, prefix } = this.settings;
    try {
      await client.send(new ListObjectsV2Command({ Bucket: bucket, Prefix: prefix, MaxKeys: 1 }));
    } catch (error) {
      client.destroy();
      throw error;
    }
    // Requests under way keep the old client's sockets, which close when they are idle.
    this.#client = client;
    this.#identity = identity;
  }
}
