import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream, createWriteStream } from 'node:fs';
import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { Transform, type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { sameEverywhere, tarEnvironment } from './pack-tar.ts';

/** A layer of an image, as a blob in the directory of its archive. */
export interface Layer {
  /** `sha256:…` of the compressed bytes, and their number. */
  readonly digest: string;
  readonly size: number;
  /** `sha256:…` of the tar within. */
  readonly diffId: string;
  readonly uncompressedSize: number;
}

/** A layer of what lies at `paths` below `root`. */
export async function layerOfFiles(
  blobs: string,
  root: string,
  paths: readonly string[],
  exclude: readonly string[] = [],
): Promise<Layer> {
  const parameters = [
    ...sameEverywhere,
    ...exclude.map((path) => `--exclude=${path}`),
    '-C',
    root,
    '-cf',
    '-',
    ...paths,
  ];
  const tar = spawn('tar', parameters, { stdio: ['ignore', 'pipe', 'inherit'], env: tarEnvironment() });
  const ended = once(tar, 'close') as Promise<[number | null]>;
  const layer = await writeLayer(blobs, tar.stdout);
  const [status] = await ended;
  if (status !== 0) throw new Error(`tar of ${paths.join(' ')} in ${root} ended with ${status}`);
  return layer;
}

/** A layer that is there as a tar already. */
export const layerOfTar = async (blobs: string, tar: string): Promise<Layer> =>
  await writeLayer(blobs, createReadStream(tar));

let counter = 0;

async function writeLayer(blobs: string, tar: Readable): Promise<Layer> {
  const partial = join(blobs, `partial-${counter++}`);
  const [plain, compressed] = [new Digest(), new Digest()];
  // Node's gzip writes neither name nor time.
  await pipeline(tar, plain, createGzip(), compressed, createWriteStream(partial));
  const digest = compressed.value();
  await rename(partial, join(blobs, digest));
  return {
    digest: `sha256:${digest}`,
    size: compressed.bytes,
    diffId: `sha256:${plain.value()}`,
    uncompressedSize: plain.bytes,
  };
}

class Digest extends Transform {
  readonly #hash = createHash('sha256');
  bytes = 0;

  override _transform(chunk: Buffer, _: BufferEncoding, done: (error: null, chunk: Buffer) => void): void {
    this.#hash.update(chunk);
    this.bytes += chunk.length;
    done(null, chunk);
  }

  value(): string {
    return this.#hash.digest('hex');
  }
}
