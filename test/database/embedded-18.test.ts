import { openRowReader } from '#adapters/postgresql/row-reader.ts';
import { openRowWriter } from '#adapters/postgresql/row-writer.ts';
import { connectPostgresql } from '#adapters/postgresql/postgresql-server.ts';
import { databaseServerContract } from '#ports/database.contract.ts';
import { startTestServer } from '../fixtures/postgresql.ts';

databaseServerContract('embedded PostgreSQL 18', async () => {
  const { server, connection } = await startTestServer();
  return {
    server,
    connectAs: (user, password) => connectPostgresql({ server: { ...connection, user, password } }),
    openReader: openRowReader,
    openWriter: openRowWriter,
    stop: async () => undefined,
  };
});
