import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { auditEventTypes, type AuditEventType } from '#model/audit-event.ts';
import { defineCommand, type Input } from '#cli/command.ts';
import { failuresOfOpening } from '#cli/failures.ts';
import { parseTime, parseWholeNumber } from '#cli/numbers.ts';
import { formatTable } from '#cli/output/table.ts';
import { formatTime } from '#cli/output/units.ts';
import { timeSchema } from '#cli/schemas.ts';

export const auditList = defineCommand({
  noun: 'audit',
  verb: 'list',
  summary: 'list what happened, newest first',
  description: `Lists events of the audit log: what was done, by whom, to what.

Needs the database, no key. Changes nothing.`,
  options: [
    { flag: '--type <type>', help: `one of ${auditEventTypes.join(', ')}` },
    { flag: '--actor <actor>', help: 'only what this user, node or process did' },
    { flag: '--since <time>', help: 'not before this time: 2026-11-22 or 2026-11-22T10:00:00Z' },
    { flag: '--until <time>', help: 'before this time' },
    { flag: '--before <position>', help: 'only events before this position, for the next page' },
    { flag: '--limit <number>', help: 'at most this many, 1 to 1000; 100 unless given' },
  ],
  examples: [
    { command: 'enclave-manager audit list --type RESTORE', means: 'every restore' },
    { command: 'enclave-manager audit list --since 2026-11-01 --json', means: 'this month, for scripts' },
  ],
  failures: failuresOfOpening.liveRows,
  result: (z) =>
    z.array(
      z.object({
        position: z.int().min(1),
        eventId: z.uuid(),
        occurredAt: timeSchema(z),
        type: z.enum(auditEventTypes),
        action: z.string(),
        actor: z.string(),
        subject: z.string().nullable(),
        details: z.record(z.string(), z.unknown()),
        hash: z.string().regex(/^[0-9a-f]{64}$/),
      }),
    ),
  run: async (environment, input) => {
    const { readAuditLog } = await import('#operations/audit-log.ts');
    const filter = filterOf(input);
    const events = await readAuditLog(await environment.server(), filter);
    const result = events.map(({ previousHash: _, hash, occurredAt, ...event }) => ({
      ...event,
      occurredAt: occurredAt.toISOString(),
      hash: hash.toString('hex'),
    }));
    return { result };
  },
  render: (events, style) => {
    if (events.length === 0) return 'No such events\n';
    return formatTable(
      [
        { title: 'POSITION', align: 'right', cell: ({ position }) => String(position) },
        { title: 'TIME', cell: ({ occurredAt }) => formatTime(occurredAt) },
        { title: 'TYPE', cell: ({ type }) => type },
        { title: 'ACTION', cell: ({ action }) => action },
        { title: 'ACTOR', cell: ({ actor }) => actor },
        { title: 'SUBJECT', cell: ({ subject }) => subject ?? '-' },
      ],
      events,
      style,
    );
  },
});

function filterOf({ options }: Input) {
  const text = (name: string): string | undefined => (typeof options[name] === 'string' ? options[name] : undefined);
  const [type, actor, since, until, before, limit] = ['type', 'actor', 'since', 'until', 'before', 'limit'].map(text);
  return {
    ...(type === undefined ? {} : { type: parseType(type) }),
    ...(actor === undefined ? {} : { actor }),
    ...(since === undefined ? {} : { since: parseTime('--since', since) }),
    ...(until === undefined ? {} : { until: parseTime('--until', until) }),
    ...(before === undefined ? {} : { before: parseWholeNumber('--before', before) }),
    limit: limit === undefined ? 100 : parseWholeNumber('--limit', limit, { min: 1, max: 1000 }),
  };
}

function parseType(text: string): AuditEventType {
  const type = auditEventTypes.find((known) => known === text.toUpperCase());
  if (type !== undefined) return type;
  throw new EnclaveManagerError('usage', `--type is "${text.slice(0, 40)}", not a type of event`, {
    hint: `Use one of ${auditEventTypes.join(', ')}.`,
  });
}
