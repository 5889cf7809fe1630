import { describe, expect, it } from 'vitest';
import type { Database } from '#ports/database.ts';
import { holdLease } from './held-lease.ts';

const token = { name: 'operation', incarnation: { number: 1, random: '0'.repeat(16) }, counter: 1 };
const unreachable = {
  transaction: () => Promise.reject(new Error('the database does not answer')),
} as unknown as Database;

const timersHoldingTheProcess = () => process.getActiveResourcesInfo().filter((each) => each === 'Timeout').length;

describe('holdLease', () => {
  it('does not keep the process alive', async () => {
    const before = timersHoldingTheProcess();
    const lease = holdLease(unreachable, token, 60_000);
    expect(timersHoldingTheProcess()).toBe(before);
    await lease.release();
  });

  it('passes on that the database does not answer, without calling the lease lost', async () => {
    const lease = holdLease(unreachable, token, 60_000);
    await expect(lease.assertHeld()).rejects.toThrow('the database does not answer');
    expect(lease.lost.aborted).toBe(false);
    await lease.release();
  });

  it('can be released although the database does not answer', async () => {
    const lease = holdLease(unreachable, token, 60_000);
    expect(await lease.release()).toBeUndefined();
    await expect(lease.assertHeld()).rejects.toMatchObject({ code: 'lease-held' });
  });
});
