import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { RunSettings } from './containerfile.ts';
import type { Layer } from './layer.ts';
import { packTar } from './pack-tar.ts';

export interface ImageParts {
  /** With its tag: `localhost/enclave-manager:0.1.0`. */
  readonly name: string;
  readonly architecture: 'amd64' | 'arm64';
  readonly settings: RunSettings;
  /** The lowest first; each with a sentence about where it is from. */
  readonly layers: readonly (Layer & { readonly from: string })[];
}

const created = '1970-01-01T00:00:00Z';
const mediaType = (kind: string): string => `application/vnd.oci.image.${kind}`;

/** The place of blobs below the directory of an archive, made ready. */
export function makeBlobs(directory: string): string {
  const blobs = join(directory, 'blobs/sha256');
  mkdirSync(blobs, { recursive: true });
  return blobs;
}

/**
 * Packs a directory that holds the layers' blobs as an OCI image layout in one tar (OCI Image Layout Specification 1.0),
 * with the list that `docker load` of before version 25 looks for. Returns the digest of the image's manifest.
 */
export function packImage(
  directory: string,
  { name, architecture, settings, layers }: ImageParts,
  output: string,
): string {
  const config = addBlob(directory, mediaType('config.v1+json'), {
    created,
    architecture,
    os: 'linux',
    config: settings,
    rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) },
    history: layers.map(({ from }) => ({ created, created_by: from })),
  });
  const manifest = addBlob(directory, mediaType('manifest.v1+json'), {
    schemaVersion: 2,
    mediaType: mediaType('manifest.v1+json'),
    config,
    layers: layers.map(({ digest, size }) => ({ mediaType: mediaType('layer.v1.tar+gzip'), digest, size })),
  });
  const annotations = { 'io.containerd.image.name': name, 'org.opencontainers.image.ref.name': name };
  const platform = { architecture, os: 'linux' };
  write(directory, 'oci-layout', { imageLayoutVersion: '1.0.0' });
  write(directory, 'index.json', {
    schemaVersion: 2,
    mediaType: mediaType('index.v1+json'),
    manifests: [{ ...manifest, platform, annotations }],
  });
  const blobPath = (digest: string): string => `blobs/${digest.replace(':', '/')}`;
  const docker = {
    Config: blobPath(config.digest),
    RepoTags: [name],
    Layers: layers.map(({ digest }) => blobPath(digest)),
  };
  write(directory, 'manifest.json', [docker]);
  packTar(directory, ['oci-layout', 'index.json', 'manifest.json', 'blobs'], output);
  return manifest.digest;
}

function addBlob(directory: string, type: string, value: unknown) {
  const bytes = JSON.stringify(value);
  const digest = createHash('sha256').update(bytes).digest('hex');
  writeFileSync(join(directory, 'blobs/sha256', digest), bytes);
  return { mediaType: type, digest: `sha256:${digest}`, size: Buffer.byteLength(bytes) };
}

const write = (directory: string, name: string, value: unknown): void =>
  writeFileSync(join(directory, name), JSON.stringify(value));
