import { createBackup, drillBackup, listBackups, verifyBackup } from './backups.ts';
import { damageObject } from './damage.ts';
import { destroyDatabase } from './disasters.ts';
import { askStatus } from './status.ts';
import type { Operation } from './operation.ts';
import { refuseOutsider } from './outsiders.ts';
import { restoreCleanup, restoreRollback, restoreRun } from './restores.ts';
import { serveKill, servePause, serveResume, serveStart, serveStop } from './servers.ts';
import { writeRows } from './write-rows.ts';

export const operations: readonly Operation[] = [
  writeRows,
  createBackup,
  verifyBackup,
  drillBackup,
  listBackups,
  askStatus,
  restoreRun,
  restoreRollback,
  restoreCleanup,
  serveStart,
  serveStop,
  serveKill,
  servePause,
  serveResume,
  damageObject,
  destroyDatabase,
  refuseOutsider,
];
