// Writes test/vectors/chunk.json, cutter.json and manifest.json: node tools/make-format-vectors.ts
// Only for a new format version: what is checked in must stay readable for ever.
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';

import { chunkId, sealChunk } from '#format/chunk.ts';
import { Cutter } from '#format/cutter.ts';
import { sealDetails } from '#format/manifest-details.ts';
import { fixedRandomness } from './fixed-randomness.ts';

const randomness = fixedRandomness('format vectors');
const write = (name: string, value: object): void => {
  writeFileSync(new URL(`../test/vectors/${name}.json`, import.meta.url), `${JSON.stringify(value, undefined, 2)}\n`);
};

function chunkVectors(): object[] {
  const rowsOfChunks = ['1\ta\n', '7\t\\N\t東京\n8\tback\\\\slash\t\\x00ff\n', `9\t${'repeated '.repeat(200)}\n`];
  return rowsOfChunks.map((rows, index) => {
    const keys = { epoch: index * 1000 + 1, chunkId: randomness.bytes(32), chunk: randomness.bytes(32) };
    const id = chunkId(keys, Buffer.from(rows));
    const { objectName, bytes } = sealChunk(keys, id, Buffer.from(rows), randomness);
    return {
      epoch: keys.epoch,
      chunkIdKey: keys.chunkId.toString('hex'),
      chunkKey: keys.chunk.toString('hex'),
      rows,
      id,
      objectName,
      bytes: bytes.toString('hex'),
    };
  });
}

function cutterVector(): object {
  const key = randomness.bytes(8);
  const [keyColumns, averageBytes] = [2, 300];
  const long = [20, 41];
  const rows = Array.from({ length: 60 }, (_, index) => {
    const id = createHash('sha256')
      .update(`row ${index}`)
      .digest('hex')
      .slice(0, 8 + (index % 5));
    return `${id}\t${index % 3}\t${'v'.repeat(long.includes(index) ? 1000 : 10 + (index % 17))}\n`;
  });
  const rowsPerChunk: number[] = [];
  const cutter = new Cutter({
    table: 'vectors',
    key,
    keyColumns,
    averageBytes,
    onChunk: (_, count) => rowsPerChunk.push(count),
  });
  for (const row of rows.map((text) => Buffer.from(text))) cutter.row(row, 0, row.length);
  cutter.finish();
  return { key: key.toString('hex'), keyColumns, averageBytes, rowsPerChunk, rows };
}

function manifestVector(): object {
  const keys = { epoch: 4, manifest: randomness.bytes(32) };
  const backupId = '20261122T000000Z-k3f9q2';
  const details = {
    tables: [
      {
        name: 'nodes',
        columns: [{ name: 'id', type: 'uuid' }],
        rows: 2,
        chunks: [{ id: 'ab'.repeat(32), rows: 2, rowBytes: 74 }],
      },
    ],
    warnings: ['table apps had 3 rows before and has none now'],
  };
  const sealed = sealDetails(keys, backupId, details, randomness);
  return {
    backupId,
    epoch: keys.epoch,
    manifestKey: keys.manifest.toString('hex'),
    encrypted: sealed.toString('base64'),
    details,
  };
}

write('chunk', { chunks: chunkVectors() });
write('cutter', cutterVector());
write('manifest', manifestVector());
