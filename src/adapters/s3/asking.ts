import { DeleteObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import type { S3Connection } from '#ports/object-store.ts';
import { OperationFailed, withAttempts } from './attempts.ts';
import { Connector } from './connector.ts';
import type { Failure } from './failures.ts';
import { defaultLimits, type S3Limits } from './limits.ts';

/** What came of a question: the store's answer, or how it refused. */
export type Answered<T> = { readonly reply: T } | { readonly refusal: Failure };

/** Single questions to a bucket, beside the store's own requests; what is in the way of an answer is asked again. */
export class Asking {
  readonly connection: S3Connection;
  readonly #limits: S3Limits;
  readonly #usual: Connector;
  readonly #deleting: Connector;

  constructor(connection: S3Connection) {
    this.connection = connection;
    this.#limits = { ...defaultLimits, ...connection.limits };
    this.#usual = new Connector(connection, this.#limits);
    const { deleteCredentials } = connection;
    this.#deleting =
      deleteCredentials === undefined ? this.#usual : new Connector(connection, this.#limits, deleteCredentials);
  }

  get bucket(): string {
    return this.connection.bucket;
  }

  keyOf(place: string): string {
    return this.connection.prefix + place;
  }

  async ask<T>(question: (client: S3Client) => Promise<T>): Promise<Answered<T>> {
    return await this.#ask(this.#usual, question);
  }

  /** Where the refusal that is hoped for looks like one that another attempt would mend. */
  async askOnce<T>(question: (client: S3Client) => Promise<T>): Promise<Answered<T>> {
    return await this.#ask(this.#usual, question, { ...this.#limits, attempts: 1 });
  }

  /** With the credentials for deleting, where there are any of their own. */
  async askDeleting<T>(question: (client: S3Client) => Promise<T>): Promise<Answered<T>> {
    return await this.#ask(this.#deleting, question);
  }

  /** Asked of a key that is not there: that removes nothing. The marker that it leaves where versions are kept is removed. */
  async mayDelete(credentials: 'usual' | 'deleting' = 'deleting'): Promise<boolean> {
    const absent = { Bucket: this.bucket, Key: this.keyOf('check-absent') };
    const connector = credentials === 'usual' ? this.#usual : this.#deleting;
    const answer = await this.#ask(connector, (client) => client.send(new DeleteObjectCommand(absent)));
    if ('refusal' in answer) return answer.refusal.status === 404;
    const { DeleteMarker: marker, VersionId: version } = answer.reply;
    if (marker === true && version !== undefined) {
      await this.askDeleting((client) => client.send(new DeleteObjectCommand({ ...absent, VersionId: version })));
    }
    return true;
  }

  /** What the store's clock says, as far as its replies told. */
  async now(): Promise<Date> {
    const { config } = await this.#usual.client();
    return new Date(Date.now() + config.systemClockOffset);
  }

  close(): void {
    this.#usual.close();
    this.#deleting.close();
  }

  async #ask<T>(
    connector: Connector,
    question: (client: S3Client) => Promise<T>,
    limits = this.#limits,
  ): Promise<Answered<T>> {
    const hooks = { mended: async () => false };
    try {
      return { reply: await withAttempts(limits, hooks, async () => await question(await connector.client())) };
    } catch (error) {
      if (error instanceof OperationFailed) return { refusal: error.failure };
      throw error;
    }
  }
}

/** `AccessDenied, status 403` */
export const refusalText = ({ code, networkCode, status, message }: Failure): string =>
  [code ?? networkCode ?? message, status === undefined ? undefined : `status ${status}`].filter(Boolean).join(', ');
