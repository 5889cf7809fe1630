import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { enrolNode, inviteNode } from '#operations/enrol-node.ts';
import { openCluster } from '#operations/open-cluster.ts';
import { readKeyringDocuments } from '#operations/open-repository.ts';
import { listAuditEvents } from '#store/audit.ts';
import { pendingJoinRequests } from '#store/join-requests.ts';
import { runCommand } from '../fixtures/command.ts';
import { debianUnavailable } from '../fixtures/debian-postgresql.ts';
import { makeContext, temporaryDirectory } from '../fixtures/host.ts';
import {
  answerJoins,
  copyPlace,
  letExpire,
  preparePlace,
  sharedHost,
  type PreparedPlace,
  type SharedHost,
} from '../fixtures/shared-cluster.ts';
import { crash, crashTestMs, pointsOf, reached } from './crashing.ts';

vi.setConfig({ testTimeout: crashTestMs, hookTimeout: crashTestMs });

let prepared: PreparedPlace;

beforeEach((context) => {
  if (debianUnavailable !== undefined) context.skip(debianUnavailable);
});

beforeAll(async () => {
  if (debianUnavailable === undefined) prepared = await preparePlace();
});

async function hosts(): Promise<readonly [SharedHost, SharedHost, SharedHost]> {
  const place = await copyPlace(prepared);
  const directories = { ...place.directories, 'host-c': temporaryDirectory() };
  const names = ['host-a', 'host-b', 'host-c'] as const;
  const [first, second, joining] = await Promise.all(names.map((name) => sharedHost({ ...place, directories }, name)));
  return [first!, second!, joining!];
}

async function invite(host: SharedHost): Promise<string> {
  const cluster = await openCluster(makeContext(), host);
  const { token } = await inviteNode(makeContext(), cluster);
  await cluster.database.close();
  return token;
}

/** Answers as a manager of the host would, while the work goes on. */
async function besideManager<T>(host: SharedHost, work: () => Promise<T>): Promise<T> {
  const cluster = await openCluster(makeContext(), host);
  const stop = answerJoins(host, cluster);
  try {
    return await work();
  } finally {
    await stop();
    await cluster.database.close();
  }
}

/** The new host is a member once and opens everything; nobody is half a member; database and repository say the same. */
async function expectEnrolled(host: SharedHost, joined: SharedHost): Promise<void> {
  const cluster = await openCluster(makeContext(), joined);
  const { keyring, database } = cluster;
  expect(keyring.isMember).toBe(true);
  expect(keyring.membership).toMatchObject({ number: 3 });
  expect(keyring.membership.nodes.map(({ name }) => name)).toEqual(['host-a', 'host-b', 'host-c']);
  for (const { nodeId } of keyring.membership.nodes) expect([...keyring.epochsOpenableBy(nodeId)]).toEqual([1]);
  const enrolled = (await listAuditEvents(database.queries, { type: 'NODE_STATUS', limit: 1000 })).filter(
    ({ action, subject }) => action === 'node enrolled' && subject === keyring.nodeId,
  );
  expect(enrolled).toHaveLength(1);
  expect(await pendingJoinRequests(database.queries)).toEqual([]);
  await database.close();
  const inRepository = new Map((await readKeyringDocuments(host.store)).map(({ path, bytes }) => [path, bytes]));
  for (const { path, bytes } of keyring.documents) expect(inRepository.get(path), path).toEqual(bytes);
}

describe('a host killed while it joins', () => {
  it.each(pointsOf('enrol'))('after %s joins when the same command is run again', async (point) => {
    const [first, , joining] = await hosts();
    const tokenFile = join(temporaryDirectory(), 'token');
    writeFileSync(tokenFile, await invite(first));
    const args = ['node', 'enrol', '--token-file', tokenFile];
    // Killed before it is answered, it finds that out later; otherwise a manager is there all the time.
    if (reached(point, 'enrol.admitted')) await besideManager(first, () => crash(args, joining.options, point));
    else await crash(args, joining.options, point);

    const again = await besideManager(first, () => runCommand([...args, '--json'], joining.options));

    expect(again.exitCode, `${again.stderr}${again.stdout}`).toBe(0);
    expect(JSON.parse(again.stdout)).toMatchObject({ name: 'host-c', epochs: [1] });
    await expectEnrolled(first, joining);
  });
});

describe('a manager killed while it admits a host', () => {
  it.each(pointsOf('admit'))('after %s leaves it to another manager, and the waiting host joins', async (point) => {
    const [first, second, joining] = await hosts();
    const token = await invite(first);
    const enrolling = enrolNode(makeContext(), joining, { token, waitMs: 200_000 });
    await crash(['serve'], first.options, point);

    await letExpire(second);
    await besideManager(second, () => enrolling);

    expect(await enrolling).toMatchObject({ name: 'host-c', epochs: [1] });
    await expectEnrolled(second, joining);
  });
});
