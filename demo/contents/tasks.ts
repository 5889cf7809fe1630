import type { Insertable } from 'kysely';
import type { Membership } from '#keys/membership.ts';
import type { Tables } from '#store/tables.ts';
import type { TaskType } from '#model/tasks.ts';
import type { Apps } from './apps.ts';
import type { Chance } from './chance.ts';
import { daysBefore } from './days.ts';

/** What managers had to approve so that the other contents could be as they are, and what still waits for them. */
export function makeTasks(
  chance: Chance,
  now: Date,
  apps: Apps,
  membership: Membership,
): Insertable<Tables['tasks']>[] {
  const manager = apps.users[0]!.user_id;
  const task = (type: TaskType, subject: string, created: Date, more: Partial<Insertable<Tables['tasks']>>) => ({
    task_id: chance.uuid(created),
    type,
    status: 'APPROVED' as const,
    subject,
    description: `${type.toLowerCase().replaceAll('_', ' ')}: ${subject}`,
    details: '{}',
    requester_id: null,
    reviewer_id: manager,
    created_at: created,
    decided_at: daysBefore(created, -1),
    ...more,
  });
  const undecided = { status: 'PENDING', reviewer_id: null, decided_at: null } as const;
  const ownerOf = (appId: string) => apps.apps.find((app) => app.app_id === appId)!.owner_id;
  return [
    ...membership.nodes.map((node) =>
      task('NODE_ATTESTATION', node.nodeId, daysBefore(now, 350), { details: JSON.stringify({ grade: node.grade }) }),
    ),
    ...apps.apps.map((app) =>
      task('DOMAIN_WHITELIST', app.app_id, app.created_at, {
        requester_id: app.owner_id,
        details: `{"domains":${app.domains}}`,
      }),
    ),
    ...apps.builds.map((build) =>
      task('BUILD_WHITELIST', build.build_id, build.created_at, {
        requester_id: ownerOf(build.app_id),
        details: JSON.stringify({ mrenclave: build.mrenclave, mrsigner: build.mrsigner }),
        ...(build.status === 'PENDING' ? undecided : { status: build.status === 'REJECTED' ? 'DENIED' : 'APPROVED' }),
      }),
    ),
  ];
}
