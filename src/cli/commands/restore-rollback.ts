import type { DiscardedRows, RollbackPlan } from '#operations/plan-rollback.ts';
import { defineCommand } from '#cli/command.ts';
import { failuresOfOpening } from '#cli/failures.ts';
import { counted, formatTime } from '#cli/output/units.ts';
import { backupIdSchema, countSchema, incarnationSchema, timeSchema } from '#cli/schemas.ts';

export const restoreRollback = defineCommand({
  noun: 'restore',
  verb: 'rollback',
  summary: 'undo the last restore: put the replaced database back',
  description: `Swaps the database that the last restore replaced back in, in one step. What was written since the restore is
discarded; it lists that, table by table, and asks. The restored database is kept beside it until "restore cleanup";
run again, it puts that one back.

Needs the database and the key of this host. Takes no backup of what it discards: run "backup create" first to keep it.
A manager that does not pause within a minute ends it (13).`,
  examples: [
    { command: 'enclave-manager restore rollback', means: 'shows what would be discarded and asks' },
    { command: 'enclave-manager restore rollback --yes --json', means: 'for scripts' },
  ],
  failures: failuresOfOpening.clusterOrImport,
  result: (z) =>
    z.object({
      undoes: z.enum(['restore', 'rollback']),
      restoreId: z.string(),
      backupId: backupIdSchema(z),
      restoredAt: timeSchema(z),
      beforeDatabase: z.string(),
      discardedAuditEvents: countSchema(z),
      newestAuditEvents: z.array(
        z.object({ at: timeSchema(z), action: z.string(), actor: z.string(), subject: z.string().nullable() }),
      ),
      discarded: z.array(
        z.object({
          table: z.string(),
          written: countSchema(z),
          removed: z.int().nullable(),
          rowsNow: countSchema(z),
          rowsBefore: countSchema(z),
        }),
      ),
      incarnation: incarnationSchema(z),
      keptDatabase: z.string(),
    }),
  run: async (environment) => {
    const { planRollback } = await import('#operations/plan-rollback.ts');
    const { rollbackRestore } = await import('#operations/rollback-restore.ts');
    const cluster = await environment.cluster();
    const plan = await planRollback(cluster);
    await environment.output.confirm(describe(plan), `Put ${plan.beforeDatabase} back?`, environment.context.signal);
    const outcome = await rollbackRestore(environment.context, cluster, plan);
    const { discarded, newestAuditEvents } = plan;
    return {
      result: { ...plan, discarded: [...discarded], newestAuditEvents: [...newestAuditEvents], ...outcome },
    };
  },
  render: (result, style) =>
    `${style.good('Rolled back:')} what the ${result.undoes} of ${result.backupId} replaced serves again\n` +
    `What served until now is kept as ${result.keptDatabase}: restore rollback puts it back, restore cleanup removes it\n`,
});

function describe(plan: RollbackPlan): string {
  const { discardedAuditEvents, newestAuditEvents, discarded } = plan;
  const events = newestAuditEvents.map(
    ({ at, action, actor, subject }) =>
      `  - ${formatTime(at)} ${action}${subject === null ? '' : ` ${subject}`}, by ${actor}\n`,
  );
  const more = discardedAuditEvents - events.length;
  return (
    `Puts back what the ${plan.undoes} of ${plan.backupId} at ${formatTime(plan.restoredAt)} replaced (${plan.beforeDatabase}).\n` +
    (discarded.length === 0 ? 'No row was written since then.\n' : `Discards what was written since then:\n`) +
    discarded.map(describeRows).join('') +
    `Discards ${counted(discardedAuditEvents, 'audit event')} since then${events.length === 0 ? '.' : ':'}\n${events.join('')}` +
    (more > 0 ? `  and ${more} before these\n` : '')
  );
}

function describeRows({ table, written, removed, rowsNow, rowsBefore }: DiscardedRows): string {
  const lost = removed === null ? '' : `, ${removed} changed or deleted`;
  return `  - ${table}: ${counted(written, 'row')} written${lost}; ${rowsNow} now, ${rowsBefore} after the rollback\n`;
}
