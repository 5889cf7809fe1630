import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { listInvites, openInvite, saveInvite, useInvite } from '#store/invites.ts';
import { decideJoinRequest, pendingJoinRequests, readJoinRequest, submitJoinRequest } from '#store/join-requests.ts';
import { tablesOf } from '#store/tables.ts';
import { columnKeys } from './column-keys.ts';
import { migratedDatabase, ports } from './store-database.ts';

const inviteId = '019aa8f0-0000-7000-8000-000000000001';
const nodeId = '019aa8f0-0000-7000-8000-000000000002';
const keys = columnKeys(1);
const macKey = Buffer.from('a MAC key of thirty-two bytes...');
const request = { inviteId, request: Buffer.from('{"name":"host-b"}'), mac: Buffer.alloc(32, 1) };

async function invited(ttlMs = 60_000) {
  const opened = await migratedDatabase();
  await saveInvite(opened.database.queries, keys, { inviteId, macKey, createdBy: 'node host-a', ttlMs }, ports);
  return { ...opened, queries: opened.database.queries };
}

describe('an invite', () => {
  it('gives its MAC key until it is used, and reading does not use it', async () => {
    const { queries } = await invited();
    expect(await openInvite(queries, keys, inviteId)).toEqual({ macKey, hardwareIdentity: undefined });
    expect(await openInvite(queries, keys, inviteId)).toEqual({ macKey, hardwareIdentity: undefined });
    await useInvite(queries, inviteId);
    const message = expect.stringContaining('was used already');
    await expect(openInvite(queries, keys, inviteId)).rejects.toMatchObject({ code: 'not-permitted', message });
    expect((await listInvites(queries))[0]).toMatchObject({
      inviteId,
      createdBy: 'node host-a',
      usedAt: expect.any(Date),
    });
  });

  it('works once, also when two managers use it at the same time', async () => {
    const { database, another } = await invited();
    const uses = [database, another()].map((each) => each.transaction((queries) => useInvite(queries, inviteId)));
    const results = await Promise.allSettled(uses);
    expect(results.map((result) => result.status).toSorted()).toEqual(['fulfilled', 'rejected']);
  });

  it('stays usable when the transaction that used it fails', async () => {
    const { database, queries } = await invited();
    const failing = database.transaction(async (inside) => {
      await useInvite(inside, inviteId);
      throw new Error('the node was refused');
    });
    await expect(failing).rejects.toThrow('the node was refused');
    expect(await openInvite(queries, keys, inviteId)).toEqual({ macKey, hardwareIdentity: undefined });
  });

  it('expires', async () => {
    const { queries } = await invited(1);
    await sleep(20);
    const message = expect.stringContaining('expired at 20');
    await expect(openInvite(queries, keys, inviteId)).rejects.toMatchObject({ code: 'not-permitted', message });
    await expect(useInvite(queries, inviteId)).rejects.toMatchObject({ code: 'not-permitted', message });
  });

  it('is refused when there is none', async () => {
    const { queries } = await invited();
    await expect(useInvite(queries, nodeId)).rejects.toMatchObject({ code: 'not-permitted' });
  });
});

describe('a join request', () => {
  it('waits, byte for byte, until one manager decides it for good', async () => {
    const { queries } = await invited();
    const joinRequestId = await submitJoinRequest(queries, request, ports);
    expect(await pendingJoinRequests(queries)).toMatchObject([{ joinRequestId, ...request, status: 'PENDING' }]);
    expect(await decideJoinRequest(queries, joinRequestId, { status: 'ADMITTED', nodeId }, ports)).toBe(true);
    const late = { status: 'REFUSED', refusal: { message: 'late', hint: 'Come earlier.' } } as const;
    expect(await decideJoinRequest(queries, joinRequestId, late, ports)).toBe(false);
    expect(await pendingJoinRequests(queries)).toEqual([]);
    expect(await readJoinRequest(queries, joinRequestId)).toMatchObject({ status: 'ADMITTED', nodeId, reason: null });
  });

  it('is told why it is refused and what its host can do, also by a manager that says the first alone', async () => {
    const { queries } = await invited();
    const joinRequestId = await submitJoinRequest(queries, request, ports);
    const refusal = { message: `first\n  line ${'é'.repeat(1000)}`, hint: 'Do that.\nThen this.' };
    expect(await decideJoinRequest(queries, joinRequestId, { status: 'REFUSED', refusal }, ports)).toBe(true);
    const reason = `first line ${'é'.repeat(989)}`;
    expect(await readJoinRequest(queries, joinRequestId)).toMatchObject({ reason, hint: 'Do that. Then this.' });
    await tablesOf(queries).updateTable('join_requests').set({ reason: 'first' }).execute();
    expect(await readJoinRequest(queries, joinRequestId)).toMatchObject({ reason: 'first', hint: null });
  });

  it('is refused without an invite, beyond three that wait, and beyond its size', async () => {
    const { queries } = await invited();
    await expect(submitJoinRequest(queries, { ...request, inviteId: nodeId }, ports)).rejects.toMatchObject({
      code: 'not-permitted',
    });
    for (let count = 0; count < 3; count += 1) await submitJoinRequest(queries, request, ports);
    await expect(submitJoinRequest(queries, request, ports)).rejects.toMatchObject({ code: 'not-permitted' });
    const huge = { ...request, request: Buffer.alloc(65_537) };
    await expect(submitJoinRequest(queries, huge, ports)).rejects.toMatchObject({ code: 'usage' });
  });
});
