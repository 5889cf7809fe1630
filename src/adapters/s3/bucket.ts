import { createHash } from 'node:crypto';
import {
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  PutObjectRetentionCommand,
  type ListObjectsV2CommandOutput,
} from '@aws-sdk/client-s3';
import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { StoredObject } from '#ports/object-store.ts';
import { collect } from './collect.ts';
import { md5Of, useContentMd5 } from './content-md5.ts';
import type { Connector } from './connector.ts';
import type { S3Limits } from './limits.ts';
import { readFailure } from './failures.ts';
import { ReplyProblem } from './reply-problem.ts';

/** Where our own digest of an object lies; stores keep such fields, and give them back with it. */
const digestField = 'sha256';
const dayMs = 86_400_000;

/** Single requests, each attempted once. Replies are checked; errors are thrown as they come. */
export class Bucket {
  readonly #connector: Connector;
  readonly #limits: S3Limits;

  constructor(connector: Connector, limits: S3Limits) {
    this.#connector = connector;
    this.#limits = limits;
  }

  async put(key: string, body: Uint8Array, options: { readonly onlyIfAbsent: boolean }): Promise<void> {
    const { checksums, objectLock } = this.#connector.settings;
    const { client, place } = await this.#begin(key);
    const sha256 = createHash('sha256').update(body).digest();
    const reply = await client.send(
      new PutObjectCommand({
        ...place,
        Body: body,
        ContentLength: body.length,
        ContentType: 'application/octet-stream',
        Metadata: { [digestField]: sha256.toString('hex') },
        ...(options.onlyIfAbsent ? { IfNoneMatch: '*' } : {}),
        ...(checksums === 'sha256' ? { ChecksumSHA256: sha256.toString('base64') } : {}),
        // Stores demand it of objects with a lock.
        ...(checksums === 'md5' || objectLock !== undefined ? { ContentMD5: md5Of(body) } : {}),
        ...(objectLock === undefined
          ? {}
          : { ObjectLockMode: this.#lockMode(), ObjectLockRetainUntilDate: await this.#lockEnd() }),
      }),
    );
    requireEntityTag(reply.ETag);
  }

  /** The whole object; `undefined` where the store says `NoSuchKey`. */
  async get(key: string, maxBytes: number): Promise<Buffer | undefined> {
    const { client, place } = await this.#begin(key);
    const signal = AbortSignal.timeout(this.#limits.requestMs);
    const reply = await client.send(new GetObjectCommand(place)).catch(absentAsUndefined);
    if (reply === undefined) return undefined;
    if ((reply.ContentLength ?? 0) > maxBytes) {
      await collect(reply.Body, 0, AbortSignal.abort()).catch(() => {});
      throw tooLarge(key, reply.ContentLength!, maxBytes);
    }
    requireEntityTag(reply.ETag);
    const body = await collect(reply.Body, maxBytes + 1, signal);
    if (body.length > maxBytes) throw tooLarge(key, body.length, maxBytes);
    if (reply.ContentLength !== undefined && reply.ContentLength !== body.length) {
      throw new ReplyProblem('strange', `an object of ${reply.ContentLength} bytes was cut after ${body.length}`);
    }
    checkDigest(body, reply.Metadata?.[digestField]);
    return body;
  }

  /** `undefined` for any 404: of a HEAD nobody knows whether the key or the bucket is missing. */
  async head(key: string): Promise<StoredObject | undefined> {
    const { client, place } = await this.#begin(key);
    const reply = await client.send(new HeadObjectCommand(place)).catch(notFoundAsUndefined);
    if (reply === undefined) return undefined;
    requireEntityTag(reply.ETag);
    const { ContentLength: sizeBytes, LastModified: modifiedAt } = reply;
    if (sizeBytes === undefined || modifiedAt === undefined)
      throw new ReplyProblem('strange', 'a reply to HEAD has no length or time');
    return { key, sizeBytes, modifiedAt };
  }

  async listPage(prefix: string, token: string | undefined): Promise<ListObjectsV2CommandOutput> {
    const { client, place } = await this.#begin(prefix);
    const { Bucket: bucket, Key: fullPrefix } = place;
    const reply = await client.send(
      new ListObjectsV2Command({
        Bucket: bucket,
        Prefix: fullPrefix,
        EncodingType: 'url',
        MaxKeys: 1000,
        ...(token === undefined ? {} : { ContinuationToken: token }),
      }),
    );
    if (reply.IsTruncated === undefined || (reply.Name !== undefined && reply.Name !== bucket)) {
      throw new ReplyProblem('strange', 'the reply to a listing is none');
    }
    return reply;
  }

  async delete(key: string): Promise<void> {
    const { client, place } = await this.#begin(key);
    await client.send(new DeleteObjectCommand(place)).catch(absentAsUndefined);
  }

  /** Extends the lock of an object to as long as that of one stored now; `false` where the store does not. */
  async retain(key: string): Promise<boolean> {
    const { client, place } = await this.#begin(key);
    const retention = { Mode: this.#lockMode(), RetainUntilDate: await this.#lockEnd() };
    const command = new PutObjectRetentionCommand({ ...place, Retention: retention });
    useContentMd5(command.middlewareStack);
    try {
      await client.send(command);
      return true;
    } catch (error) {
      const { code, status } = readFailure(error);
      // Gone, locked in a stricter mode, or no right to it; anything else says nothing about this object.
      if (code === 'NoSuchKey' || status === 403 || status === 405 || code === 'InvalidRequest') return false;
      throw error;
    }
  }

  #lockMode(): 'GOVERNANCE' | 'COMPLIANCE' {
    return this.#connector.settings.objectLock?.mode === 'compliance' ? 'COMPLIANCE' : 'GOVERNANCE';
  }

  /** By the store's clock, as far as it is known from its replies. */
  async #lockEnd(): Promise<Date> {
    const { config } = await this.#connector.client();
    const days = this.#connector.settings.objectLock?.days ?? 0;
    return new Date(Date.now() + config.systemClockOffset + days * dayMs);
  }

  async #begin(key: string) {
    const { bucket, prefix } = this.#connector.settings;
    return { client: await this.#connector.client(), place: { Bucket: bucket, Key: prefix + key } };
  }
}

/** Every store names what it stored; a reply without is of something else. */
function requireEntityTag(tag: string | undefined): void {
  if (tag === undefined || tag === '') throw new ReplyProblem('strange', 'a reply has no ETag');
}

function checkDigest(body: Buffer, stored: string | undefined): void {
  // Copied there by a tool that lost it: whoever reads the object checks it by its own means.
  if (stored === undefined) return;
  const found = createHash('sha256').update(body).digest('hex');
  if (found !== stored)
    throw new ReplyProblem('corrupt', `its bytes have SHA-256 ${found} and were stored with ${stored}`);
}

const tooLarge = (key: string, sizeBytes: number, maxBytes: number): EnclaveManagerError =>
  new EnclaveManagerError('damaged', `${key} has ${sizeBytes} bytes where at most ${maxBytes} were expected`);

function absentAsUndefined(error: unknown): undefined {
  if (error instanceof Error && error.name === 'NoSuchKey') return undefined;
  throw error;
}

function notFoundAsUndefined(error: unknown): undefined {
  const status = error instanceof Error && '$metadata' in error ? error.$metadata : undefined;
  if (status instanceof Object && 'httpStatusCode' in status && status.httpStatusCode === 404) return undefined;
  throw error;
}
