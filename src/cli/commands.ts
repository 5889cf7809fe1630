import type { Command } from './command.ts';
import { auditList } from './commands/audit-list.ts';
import { auditVerify } from './commands/audit-verify.ts';
import { backupCreate } from './commands/backup-create.ts';
import { backupDrill } from './commands/backup-drill.ts';
import { backupExport } from './commands/backup-export.ts';
import { backupList } from './commands/backup-list.ts';
import { backupPrune } from './commands/backup-prune.ts';
import { backupShow } from './commands/backup-show.ts';
import { backupVerify } from './commands/backup-verify.ts';
import { configShow } from './commands/config-show.ts';
import { databaseAcceptImport } from './commands/database-accept-import.ts';
import { databaseMigrate } from './commands/database-migrate.ts';
import { databaseStatus } from './commands/database-status.ts';
import { keysRotate } from './commands/keys-rotate.ts';
import { keysStatus } from './commands/keys-status.ts';
import { nodeApproveFirmware } from './commands/node-approve-firmware.ts';
import { nodeEnrol } from './commands/node-enrol.ts';
import { nodeEvict } from './commands/node-evict.ts';
import { nodeInvite } from './commands/node-invite.ts';
import { nodeList } from './commands/node-list.ts';
import { nodeMeasure } from './commands/node-measure.ts';
import { nodeProbe } from './commands/node-probe.ts';
import { openability } from './commands/openability.ts';
import { repositoryCheck } from './commands/repository-check.ts';
import { restoreCleanup } from './commands/restore-cleanup.ts';
import { restorePlan } from './commands/restore-plan.ts';
import { restoreRollback } from './commands/restore-rollback.ts';
import { restoreRun } from './commands/restore-run.ts';
import { serve } from './commands/serve.ts';
import { status } from './commands/status.ts';

/** Every command, in the order of the help. */
export const commands: readonly Command[] = [
  serve,
  status,
  backupCreate,
  backupList,
  backupShow,
  backupVerify,
  backupDrill,
  backupExport,
  backupPrune,
  restorePlan,
  restoreRun,
  restoreRollback,
  restoreCleanup,
  nodeInvite,
  nodeEnrol,
  nodeList,
  nodeProbe,
  nodeEvict,
  nodeMeasure,
  nodeApproveFirmware,
  openability,
  keysStatus,
  keysRotate,
  repositoryCheck,
  databaseStatus,
  databaseMigrate,
  databaseAcceptImport,
  auditList,
  auditVerify,
  configShow,
];
