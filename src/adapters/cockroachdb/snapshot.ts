import type { Snapshot } from '#ports/database.ts';
import type { SessionOptions } from '#postgresql-protocol/connection-options.ts';
import { describeOptions } from '#postgresql-protocol/connection-options.ts';
import { bulkLimits, openSession } from '#postgresql-protocol/session.ts';
import { countTableRows } from './catalog.ts';
import { defaultRowsPerRange, tableRanges } from './ranges.ts';
import { enterMoment, explainMoment } from './time-travel.ts';

/**
 * A moment of the cluster's clock. The server keeps what was changed or deleted since for a time of its own, so nothing
 * has to be locked: a TRUNCATE after that moment does not reach it.
 */
export async function openSnapshot(options: SessionOptions, rowsPerRange = defaultRowsPerRange): Promise<Snapshot> {
  const session = await openSession(options, options.database, bulkLimits);
  const explained = async <T>(work: Promise<T>): Promise<T> => {
    try {
      return await work;
    } catch (error) {
      throw explainMoment(error, describeOptions(options));
    }
  };
  try {
    const [row] = await session.rows<{ token: string; takenAt: Date }>(
      `SELECT cluster_logical_timestamp()::text AS token, clock_timestamp() AS "takenAt"`,
    );
    const { token, takenAt } = row!;
    await enterMoment(session, token);
    return {
      token,
      takenAt,
      ranges: (table) => explained(tableRanges(session, table, rowsPerRange)),
      countRows: (table) => explained(countTableRows(session.rows, table)),
      close: () => session.close(),
    };
  } catch (error) {
    await session.close();
    throw error;
  }
}
