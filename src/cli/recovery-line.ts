import { formatTime } from './output/units.ts';

/**
 * What an operator writes down after a backup: on an empty machine it tells this cluster's newest backup from an older
 * or a forged one.
 */
export const recoveryLine = (newest: {
  readonly clusterId: string;
  readonly clusterKey: string;
  readonly sequence: number;
  readonly startedAt: string;
}): string =>
  `Recovery line, keep it elsewhere: cluster ${newest.clusterId}, key ${newest.clusterKey}, ` +
  `sequence ${newest.sequence} of ${formatTime(newest.startedAt)}`;
