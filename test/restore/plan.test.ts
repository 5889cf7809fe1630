import { describe, expect, it } from 'vitest';
import { describePlan } from '#cli/restore-plan-text.ts';
import { createBackup } from '#operations/create-backup.ts';
import { planAndJudge } from '#operations/plan-restore.ts';
import type { DatabaseServer } from '#ports/database.ts';
import { makeCluster } from '../fixtures/cluster.ts';

/** A server whose disk has this much free. */
const withFree = (server: DatabaseServer, freeBytes: number): DatabaseServer =>
  Object.assign(Object.create(server) as DatabaseServer, { freeBytes: () => Promise.resolve(freeBytes) });

describe('the plan of a restore', () => {
  it('warns where less space is free than it needs by its estimate, which stops nothing', async () => {
    const { context, host, cluster } = await makeCluster();
    await createBackup(context, cluster, { kind: 'manual' });
    const { plan, refusal } = await planAndJudge({ ...host, server: withFree(host.server, 1024) }, 'latest');

    expect({ refusal, obstacles: plan.obstacles, freeBytes: plan.server?.freeBytes }).toEqual({
      refusal: undefined,
      obstacles: [],
      freeBytes: 1024,
    });
    const text = describePlan(plan);
    expect(text).toMatch(/^Warning: the server has 1\.0 KiB free and it needs about 64 MiB\. If the space runs out, /m);
    expect(text).not.toContain('This would stop it');
    const { plan: ample } = await planAndJudge({ ...host, server: withFree(host.server, plan.neededBytes) }, 'latest');
    expect(describePlan(ample)).not.toContain('Warning');
  });
});
