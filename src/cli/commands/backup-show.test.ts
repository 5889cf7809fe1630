import { expect, it } from 'vitest';
import { plainStyle } from '#cli/output/style.ts';
import { backupShow } from './backup-show.ts';

const at = '2026-11-22T00:00:00.000Z';
const shown = {
  id: '20261122T000000Z-k3f9q2',
  kind: 'manual',
  sequence: 1,
  clusterId: '01a204f8-d85a-7c67-9a70-2b010069ca8d',
  startedAt: at,
  endedAt: at,
  rows: 7,
  logicalBytes: 100,
  chunks: 1,
  storedBytes: 100,
  productVersion: '0.1.0',
  schemaVersion: 4,
  engine: 'postgresql 18.4',
  verified: null,
  lastDrill: null,
  tables: null,
  warnings: [],
  unknown: null,
};

it.each([
  [true, [], 'no host'],
  [true, ['host'], 'host'],
  ['unknown', [], 'unknown'],
])('where authentic is %s and the hosts that open it are %j, it opens on %s', (authentic, openableBy, expected) => {
  const text = backupShow.render({ ...shown, authentic, openableBy }, plainStyle);
  expect(text.split('\n').find((line) => line.startsWith('Opens on'))).toMatch(new RegExp(`^Opens on +${expected}$`));
});
