import { defineCommand } from '#cli/command.ts';
import { failuresOfOpening } from '#cli/failures.ts';
import { counted } from '#cli/output/units.ts';
import { countSchema } from '#cli/schemas.ts';

export const auditVerify = defineCommand({
  noun: 'audit',
  verb: 'verify',
  summary: 'check that no event was changed, removed or moved',
  description: `Reads the whole audit log and checks its hash chain. Fails at the first event that is not as it was recorded.
Prints the head of the chain: written down elsewhere, it later shows whether the newest events were cut off.

Needs the database, no key. Changes nothing.`,
  examples: [{ command: 'enclave-manager audit verify', means: 'check every event' }],
  failures: failuresOfOpening.liveRows,
  result: (z) => z.object({ events: countSchema(z), head: z.string().regex(/^[0-9a-f]{64}$/) }),
  run: async (environment) => {
    const { verifyAuditLog } = await import('#operations/audit-log.ts');
    const { position, hash } = await verifyAuditLog(await environment.server());
    return { result: { events: position, head: hash } };
  },
  render: ({ events, head }, style) =>
    `${counted(events, 'event')}, ${style.good('all as recorded')}\nHead of the chain: ${head}\n`,
});
