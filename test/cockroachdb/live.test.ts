import { connectCockroachdb } from '#adapters/cockroachdb/cockroachdb-server.ts';
import { openRowReader } from '#adapters/cockroachdb/row-reader.ts';
import { openRowWriter } from '#adapters/cockroachdb/row-writer.ts';
import { databaseServerContract } from '#ports/database.contract.ts';

const url = process.env['COCKROACHDB_URL'];

databaseServerContract(
  'a live CockroachDB',
  async () => ({
    server: await connectCockroachdb({ server: url! }),
    connectAs: (role, password) =>
      connectCockroachdb({ server: url!.replace(/\/\/[^@]*@/, `//${role}:${encodeURIComponent(password)}@`) }),
    openReader: openRowReader,
    openWriter: openRowWriter,
    stop: async () => {},
  }),
  {
    unavailable: url === undefined ? 'set COCKROACHDB_URL to a server that nobody else uses' : undefined,
    lacks: new Set([
      'sessions are ended from outside',
      'anonymous blocks',
      'snapshots lock and end',
      'pages',
      'every type',
      'PostgreSQL roles and grants',
      'empty databases have a size',
      'indexes come off',
      'names of unnamed checks',
    ]),
  },
);
