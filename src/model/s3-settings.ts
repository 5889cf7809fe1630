/** How an S3-compatible store is reached; plain JSON, so that a worker thread can open it too. Holds secrets. */
export interface S3Settings {
  readonly bucket: string;
  /** Empty, or with a slash at its end and none at its beginning. */
  readonly prefix: string;
  /** With scheme, without slash at its end. */
  readonly endpoint: string;
  readonly region: string;
  readonly addressing: S3Addressing;
  /** PEM file with certificates that are trusted besides the system's. */
  readonly caFile?: string;
  /** May hold a password. */
  readonly proxy?: string;
  readonly checksums: S3Checksums;
  readonly objectLock?: S3ObjectLock;
  readonly credentials: S3Credentials;
  /** Used to delete with, where the others may not. */
  readonly deleteCredentials?: S3Credentials;
}

export type S3Addressing = 'path' | 'virtual';

/**
 * What a store is given to check an upload with, besides the signature over its SHA-256: nothing, Content-MD5, or
 * `x-amz-checksum-sha256`. With a lock Content-MD5 is always sent, because stores demand it.
 */
export type S3Checksums = 'signature' | 'md5' | 'sha256';

export interface S3ObjectLock {
  readonly mode: 'governance' | 'compliance';
  readonly days: number;
}

export interface S3Credentials {
  readonly accessKeyId: SecretSource;
  readonly secretAccessKey: SecretSource;
  readonly sessionToken?: SecretSource;
}

/** A secret, or the file that holds it, which is read again when it changes. */
export type SecretSource = { readonly value: string } | { readonly file: string };
