import { expect, it } from 'vitest';
import { isBackupId } from '#model/identifiers.ts';
import type { DatabaseServer } from '#ports/database.ts';
import type { OperationContext } from './context.ts';
import { nextRestoreId } from './next-restore-id.ts';

const now = new Date('2026-11-22T00:00:00.500Z');

async function nextBeside(...names: string[]): Promise<string> {
  const server = {
    liveName: 'malbork',
    databaseNames: async (prefix: string) => names.filter((name) => name.startsWith(prefix)),
  } as DatabaseServer;
  const context = { clock: { now: () => now }, randomness: { bytes: (count: number) => new Uint8Array(count) } };
  const id = await nextRestoreId(context as OperationContext, server);
  expect(isBackupId(id)).toBe(true);
  return id.slice(0, 16);
}

it.each([
  ['is of now where there is nothing', [], '20261122T000000Z'],
  ['is of now after older ones', ['malbork_before_20261121t235959z_zzzzzz'], '20261122T000000Z'],
  ['is of the next second after one of this second', ['malbork_before_20261122t000000z_000000'], '20261122T000001Z'],
  [
    'is later than that of a clock ahead',
    ['malbork_restore_20261231t235959z_000000', 'malbork_before_20261130t000000z_000000'],
    '20270101T000000Z',
  ],
  [
    'is not moved by names that hold no restore',
    ['malbork_before_', 'malbork_before_20991322t000000z_000000', 'malbork_restore_99991231t235959z_000000'],
    '20261122T000000Z',
  ],
])('the id of the next restore %s', async (_, names, time) => {
  expect(await nextBeside(...names)).toBe(time);
});
