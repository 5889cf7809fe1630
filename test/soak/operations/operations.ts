import type { Tally } from '../tally.ts';
import { createBackup, drillBackup, listBackups, verifyBackup } from './backups.ts';
import { standStill, twoAtOnce, writeBesideBackup } from './concurrent.ts';
import { damageObject } from './damage.ts';
import { destroyDatabase } from './disasters.ts';
import { exportAndImport } from './exports.ts';
import { fillDisk } from './full-disk.ts';
import { changeKeysBesideHidden, hideMemberships } from './hidden-keys.ts';
import { hideNewest, loseKeyringDocument, loseMarker } from './hidden.ts';
import { enrolHost, loseDisk, loseHost } from './hosts.ts';
import { askStatus } from './status.ts';
import type { Operation } from './operation.ts';
import { evictHost, rotateKeys } from './keys.ts';
import { refuseOutsider } from './outsiders.ts';
import { plantRows } from './plant-rows.ts';
import { letTimePass, pruneBackups } from './prune.ts';
import { restoreCleanup, restoreRollback, restoreRun } from './restores.ts';
import { serveKill, servePause, serveResume, serveStart, serveStop } from './servers.ts';
import { crashServer } from './server-crash.ts';
import { writeRows } from './write-rows.ts';

const operations: readonly Operation[] = [
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
  evictHost,
  rotateKeys,
  pruneBackups,
  letTimePass,
  exportAndImport,
  enrolHost,
  loseDisk,
  loseHost,
  crashServer,
  fillDisk,
  twoAtOnce,
  writeBesideBackup,
  standStill,
  hideNewest,
  loseMarker,
  loseKeyringDocument,
  plantRows,
  hideMemberships,
  changeKeysBesideHidden,
];

export const availableOperations = operations.filter(({ unavailable }) => unavailable === undefined);
export const unavailableOperations = operations.filter(({ unavailable }) => unavailable !== undefined);

/** Whether everything that can be done here was done at least once. */
export const allDone = (tally: Tally): boolean =>
  availableOperations.every(({ name }) => tally.of(`operation: ${name}`) > 0);
