import type { AuditEvent } from '#model/audit-event.ts';
import type { JsonObject } from '#model/json.ts';
import type { Chance } from './chance.ts';

/** Names and ids that events may speak of. */
export interface Cast {
  readonly nodes: readonly string[];
  readonly apps: readonly string[];
  readonly builds: readonly string[];
  readonly users: readonly string[];
  readonly certificates: readonly string[];
}

export type DatedAuditEvent = AuditEvent & { readonly occurredAt: Date };

type Scene = (chance: Chance, cast: Cast) => AuditEvent;

const scene = (
  type: AuditEvent['type'],
  action: string,
  actor: string,
  subject: string,
  details: JsonObject,
): AuditEvent => ({
  type,
  action,
  actor,
  subject,
  details,
});

const heartbeat: Scene = (chance, cast) =>
  scene('APP_HEARTBEAT', 'heartbeat received', `node ${chance.oneOf(cast.nodes)}`, chance.oneOf(cast.apps), {
    build: chance.oneOf(cast.builds),
    uptimeSeconds: chance.integer(60, 2_000_000),
    requests: chance.integer(0, 50_000),
    enclaveMemoryBytes: chance.integer(64, 2048) * 1_048_576,
  });

const signIn: Scene = (chance, cast) => {
  const user = chance.oneOf(cast.users);
  const failed = chance.integer(0, 19) === 0;
  const address = `192.0.2.${chance.integer(1, 254)}`;
  return scene('USER_AUTH', failed ? 'sign-in refused' : 'signed in', user, user, {
    address,
    method: chance.oneOf(['password', 'token']),
    ...(failed ? { reason: 'wrong password' } : {}),
  });
};

const nodeStatus: Scene = (chance, cast) => {
  const node = chance.oneOf(cast.nodes);
  const from = chance.oneOf(['RUNNING', 'STOPPED', 'FAILED']);
  const error = chance.oneOf(['CPUSVN_OUT_OF_DATE', 'GROUP_OUT_OF_DATE', 'CONFIGURATION_NEEDED', null]);
  return scene('NODE_STATUS', 'status changed', `node ${node}`, node, { from, to: 'RUNNING', error });
};

const attestation: Scene = (chance, cast) =>
  scene('NODE_ATTESTATION', 'quote verified', 'system', chance.oneOf(cast.nodes), {
    cpusvn: chance.hex(16),
    pcesvn: chance.integer(10, 16),
    tcbStatus: chance.oneOf(['UpToDate', 'SWHardeningNeeded', 'ConfigurationAndSWHardeningNeeded']),
  });

const appStatus: Scene = (chance, cast) =>
  scene(
    'APP_STATUS',
    chance.oneOf(['enclave started', 'enclave stopped']),
    `node ${chance.oneOf(cast.nodes)}`,
    chance.oneOf(cast.apps),
    {
      build: chance.oneOf(cast.builds),
      exitCode: chance.oneOf([0, 0, 0, 137, null]),
    },
  );

const certificate: Scene = (chance, cast) =>
  scene('CERTIFICATE', 'certificate issued', 'system', chance.oneOf(cast.certificates), {
    app: chance.oneOf(cast.apps),
    validDays: 30,
  });

const administration: Scene = (chance, cast) =>
  scene(
    'ADMIN',
    chance.oneOf(['build approved', 'label changed', 'domain approved']),
    chance.oneOf(cast.users),
    chance.oneOf(cast.apps),
    {
      task: chance.hex(8),
      comment: chance.oneOf(['reviewed', 'as agreed in change review', '']),
    },
  );

/** How often each kind happens, of 100. */
const scenes: readonly (readonly [number, Scene])[] = [
  [52, heartbeat],
  [20, signIn],
  [8, nodeStatus],
  [8, attestation],
  [6, appStatus],
  [4, certificate],
  [2, administration],
];

/** `count` events between two times, evenly spread, in order; made one by one as they are asked for. */
export function* makeHistory(
  chance: Chance,
  cast: Cast,
  span: { begin: Date; end: Date; count: number },
): Generator<DatedAuditEvent> {
  const stepMs = (span.end.getTime() - span.begin.getTime()) / Math.max(span.count, 1);
  const hat = scenes.flatMap(([weight, make]) => Array.from({ length: weight }, () => make));
  for (let index = 0; index < span.count; index += 1) {
    const occurredAt = new Date(Math.floor(span.begin.getTime() + index * stepMs));
    yield { ...chance.oneOf(hat)(chance, cast), occurredAt };
  }
}
