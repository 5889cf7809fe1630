import type { RollbackPlan } from '#operations/rollback-restore.ts';
import { defineCommand } from '#cli/command.ts';
import { counted, formatTime } from '#cli/output/units.ts';
import { backupIdSchema, countSchema, incarnationSchema, timeSchema } from '#cli/schemas.ts';

export const restoreRollback = defineCommand({
  noun: 'restore',
  verb: 'rollback',
  summary: 'undo the last restore: put the replaced database back',
  description: `Swaps the database that the last restore replaced back in, in one step. What was written since the restore is
discarded; it lists that and asks. The restored database is kept beside it until "restore cleanup".

Needs the database and the key of this host. Takes no backup of what it discards: run "backup create" first to keep it.`,
  examples: [
    { command: 'enclave-manager restore rollback', means: 'shows what would be discarded and asks' },
    { command: 'enclave-manager restore rollback --yes --json', means: 'for scripts' },
  ],
  failures: ['not-found', 'lease-held', 'database-unreachable', 'no-key', 'version-incompatible', 'interrupted'],
  result: (z) =>
    z.object({
      restoreId: z.string(),
      backupId: backupIdSchema(z),
      restoredAt: timeSchema(z),
      beforeDatabase: z.string(),
      discardedAuditEvents: countSchema(z),
      discarded: z.array(z.object({ table: z.string(), rowsNow: countSchema(z), rowsBefore: countSchema(z) })),
      incarnation: incarnationSchema(z),
      keptDatabase: z.string(),
    }),
  run: async (environment) => {
    const { planRollback, rollbackRestore } = await import('#operations/rollback-restore.ts');
    const cluster = await environment.cluster();
    const plan = await planRollback(cluster);
    await environment.output.confirm(describe(plan), `Put ${plan.beforeDatabase} back?`, environment.context.signal);
    const outcome = await rollbackRestore(environment.context, cluster, plan);
    return { result: { ...plan, discarded: [...plan.discarded], ...outcome } };
  },
  render: (result, style) =>
    `${style.good('Rolled back:')} what the restore of ${result.backupId} replaced serves again\n` +
    `The restored database is kept as ${result.keptDatabase}: restore cleanup removes it\n`,
});

function describe(plan: RollbackPlan): string {
  const tables = plan.discarded.map(
    ({ table, rowsNow, rowsBefore }) => `  - ${table}: ${counted(rowsNow, 'row')} now, ${rowsBefore} before\n`,
  );
  return (
    `Puts back what the restore of ${plan.backupId} at ${formatTime(plan.restoredAt)} replaced (${plan.beforeDatabase}).\n` +
    `Discards ${counted(plan.discardedAuditEvents, 'audit event')} since then${tables.length === 0 ? '' : ', and changes'}:\n${tables.join('')}`
  );
}
