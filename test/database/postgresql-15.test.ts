import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { connectPostgresql } from '#adapters/postgresql/postgresql-server.ts';
import { openRowReader } from '#adapters/postgresql/row-reader.ts';
import { openRowWriter } from '#adapters/postgresql/row-writer.ts';
import { databaseServerContract } from '#ports/database.contract.ts';
import { debianUnavailable, startDebianServer, type DebianServer } from '../fixtures/debian-postgresql.ts';

let debian: DebianServer;
beforeAll(async () => {
  if (debianUnavailable === undefined) debian = await startDebianServer();
});
afterAll(() => debian?.stop());

databaseServerContract(
  "Debian's PostgreSQL 15, over TLS",
  async () => {
    const url = `${debian.url}?sslmode=verify-full&sslrootcert=${debian.certificateFile}`;
    return {
      server: await connectPostgresql({ server: url }),
      connectAs: (role, password) => connectPostgresql({ server: url.replace(/\/\/[^@]*@/, `//${role}:${password}@`) }),
      openReader: openRowReader,
      openWriter: openRowWriter,
      stop: async () => undefined,
    };
  },
  { unavailable: debianUnavailable },
);

describe('connecting', () => {
  beforeEach((context) => {
    if (debianUnavailable !== undefined) context.skip(debianUnavailable);
  });

  const encrypted = async (url: string): Promise<boolean> => {
    const server = await connectPostgresql({ server: url });
    const database = server.open('postgres');
    const { rows } = await database.queries.executeQuery<{ ssl: boolean }>({
      sql: 'SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()',
      parameters: [],
      query: { kind: 'RawNode', sqlFragments: [], parameters: [] } as never,
      queryId: { queryId: 'ssl' },
    });
    await server.close();
    return rows[0]!.ssl;
  };

  it('encrypts over TCP where the server can, unless told not to, and not over a Unix socket', async () => {
    expect(await encrypted(debian.url)).toBe(true);
    expect(await encrypted(`${debian.url}?sslmode=require`)).toBe(true);
    expect(await encrypted(`${debian.url}?sslmode=disable`)).toBe(false);
    expect(await encrypted(debian.socketUrl)).toBe(false);
  });

  it('refuses a certificate that nobody vouches for, or of another host, when asked to verify', async () => {
    await expect(encrypted(`${debian.url}?sslmode=verify-ca`)).rejects.toMatchObject({ code: 'database-unreachable' });
    const byAddress = debian.url.replace('localhost', '127.0.0.1');
    const authority = `sslrootcert=${debian.certificateFile}`;
    await expect(encrypted(`${byAddress}?sslmode=verify-full&${authority}`)).rejects.toMatchObject({
      code: 'database-unreachable',
    });
    expect(await encrypted(`${byAddress}?sslmode=verify-ca&${authority}`)).toBe(true);
  });

  it('says what is wrong with a password, a user or a port, and shows no password', async () => {
    const wrong = debian.url.replace(/:[^:@]*@/, ':secret-secret@');
    for (const url of [wrong, wrong.replace('admin', 'nobody-here'), wrong.replace(/:\d+\//, ':1/')]) {
      const error = await connectPostgresql({ server: url }).catch((each: unknown) => each as Error);
      expect(error).toMatchObject({
        code: 'database-unreachable',
        message: expect.stringMatching(/admin|nobody-here/) as string,
      });
      expect(JSON.stringify([error, (error as Error).message])).not.toContain('secret-secret');
    }
  });

  it('knows the version without what the distribution adds', async () => {
    const server = await connectPostgresql({ server: debian.url });
    expect(server.version).toMatch(/^15\.\d+$/);
    expect(server.location).toMatch(/^postgres:\/\/admin@localhost:\d+\/malbork$/);
    await server.close();
  });
});
