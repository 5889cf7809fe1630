import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cephUnavailable, startCephCluster } from '../test/fixtures/object-storage/ceph-cluster.ts';
import { freshBucket } from '../test/fixtures/object-storage/buckets.ts';
import type { Manager, Place } from './manager.ts';

export interface Storage {
  readonly name: string;
  /** Settings and credentials with which a command reaches the bucket. */
  readonly env: Readonly<Record<string, string>>;
  readonly bucket: string;
  /** Names of its programs, whose CPU is counted as the store's. */
  readonly programs: readonly string[];
  stop(): Promise<void>;
}

/** A real S3 server on this machine, with everything in memory; a sentence where there is none. */
export async function startStorage(): Promise<Storage | string> {
  if (cephUnavailable !== undefined) return cephUnavailable.replace(/^install /, 'an S3 server: ');
  const parent = mkdtempSync(join(tmpdir(), 'em-s3-'));
  const cluster = await startCephCluster(mkdtempSync(join(parent, 'c')));
  const { bucket } = await freshBucket(cluster);
  return {
    name: cluster.name,
    bucket,
    programs: ['radosgw', 'ceph-osd', 'ceph-mon'],
    env: {
      ENCLAVE_MANAGER_S3_ENDPOINT: cluster.endpoint,
      ENCLAVE_MANAGER_S3_REGION: 'us-east-1',
      ENCLAVE_MANAGER_S3_ADDRESSING: 'path',
      AWS_ACCESS_KEY_ID: cluster.manager.accessKeyId,
      AWS_SECRET_ACCESS_KEY: cluster.manager.secretAccessKey,
    },
    stop: async () => {
      await cluster.stop();
      rmSync(parent, { recursive: true, force: true });
    },
  };
}

/**
 * Prefixes that hold the cluster's keyring and no backup: a manager that finds its cluster's prefix empty puts it there. It
 * audits that, which changes the database, so all are made before anything is measured.
 */
export async function makePrefixes(storage: Storage, manager: Manager, count: number): Promise<Place[]> {
  const places: Place[] = [];
  for (let round = 0; round < count; round += 1) {
    const place = { repository: `s3://${storage.bucket}/round-${round}`, env: storage.env };
    await manager.createCluster(place);
    places.push(place);
  }
  return places;
}
