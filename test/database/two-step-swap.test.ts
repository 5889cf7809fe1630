import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { connectPostgresql } from '#adapters/postgresql/postgresql-server.ts';
import { openRowReader } from '#adapters/postgresql/row-reader.ts';
import { openRowWriter } from '#adapters/postgresql/row-writer.ts';
import { renameSteps } from '#adapters/postgresql/rename-steps.ts';
import { postgresqlSession } from '#adapters/postgresql/session-settings.ts';
import { parseDatabaseUrl, type PostgresqlOptions } from '#postgresql-protocol/connection-options.ts';
import { swapInTwoSteps, type RenameSteps } from '#postgresql-protocol/two-step-swap.ts';
import { contractScope, type ServerUnderTest } from '#ports/database-scope.contract.ts';
import { databaseSwapContract } from '#ports/database-swap.contract.ts';
import type { DatabaseServer } from '#ports/database.ts';
import { debianUnavailable, startDebianServer, type DebianServer } from '../fixtures/debian-postgresql.ts';
import { startCuttingProxy, type Cut } from '../fixtures/cutting-proxy.ts';

let debian: DebianServer;
let url: string;
let server: DatabaseServer;

beforeEach((context) => {
  if (debianUnavailable !== undefined) context.skip(debianUnavailable);
});

beforeAll(async () => {
  if (debianUnavailable !== undefined) return;
  debian = await startDebianServer();
  url = `${debian.url}?sslmode=disable`;
  server = await connectPostgresql({ server: url, swap: 'two-steps' });
});

afterAll(async () => {
  await server?.close();
  await debian?.stop();
});

describe('a swap in two steps', () => {
  databaseSwapContract(
    contractScope((): ServerUnderTest => ({
      server,
      connectAs: () => Promise.reject(new Error('nobody else comes here')),
      openReader: openRowReader,
      openWriter: openRowWriter,
      stop: async () => {},
    })),
  );
});

interface Prepared {
  readonly names: { live: string; staging: string; before: string; expectedLive: string };
  readonly stagingIdentity: string;
  readonly steps: RenameSteps;
  /** Identities of live, staging and before. */
  now(): Promise<unknown[]>;
}

let places = 0;

async function prepare(options: PostgresqlOptions = parseDatabaseUrl(url)): Promise<Prepared> {
  places += 1;
  const [live, staging, before] = ['live', 'staging', 'before'].map((each) => `two_${each}_${places}`) as [
    string,
    string,
    string,
  ];
  for (const name of [live, staging]) await server.createDatabase(name);
  const expectedLive = (await server.databaseIdentity(live))!;
  return {
    names: { live, staging, before, expectedLive },
    stagingIdentity: (await server.databaseIdentity(staging))!,
    steps: renameSteps(postgresqlSession(options), 'postgres'),
    now: () => Promise.all([live, staging, before].map((name) => server.databaseIdentity(name))),
  };
}

describe('a swap whose second step fails', () => {
  it('is taken back, and says why', async () => {
    const { names, stagingIdentity, steps, now } = await prepare();
    const reach = vi.fn<(point: string) => void>();
    const failing: RenameSteps = {
      ...steps,
      rename: async (rename) => {
        if (rename.from === names.staging) throw new RangeError('mine');
        await steps.rename(rename);
      },
    };
    await expect(swapInTwoSteps(failing, { ...names, crashPoints: { reach } })).rejects.toThrow(new RangeError('mine'));
    expect(await now()).toEqual([names.expectedLive, stagingIdentity, undefined]);
    expect(reach.mock.calls).toEqual([['swap.live-renamed']]);
  });

  it('counts as done where somebody else was faster', async () => {
    const { names, stagingIdentity, steps, now } = await prepare();
    const reach = (point: string): void => void (point === 'swap.live-renamed' && finishing.push(finish()));
    const finishing: Promise<void>[] = [];
    const finish = (): Promise<void> => server.swap({ ...names, expectedLive: undefined });
    const waiting: RenameSteps = {
      ...steps,
      rename: async (rename) => {
        await Promise.all(finishing);
        await steps.rename(rename);
      },
    };
    await swapInTwoSteps(waiting, { ...names, crashPoints: { reach } });
    expect(finishing).toHaveLength(1);
    expect(await now()).toEqual([stagingIdentity, undefined, names.expectedLive]);
  });

  it('says that it stopped between the renames where it cannot be taken back either', async () => {
    const { names, stagingIdentity, steps, now } = await prepare();
    const failing: RenameSteps = {
      ...steps,
      rename: async (rename) => {
        if (rename.from !== names.live) throw new RangeError('mine');
        await steps.rename(rename);
      },
    };
    await expect(swapInTwoSteps(failing, names)).rejects.toMatchObject({
      code: 'database-unreachable',
      message: expect.stringContaining('between its two renames') as string,
    });
    expect(await now()).toEqual([undefined, stagingIdentity, names.expectedLive]);
    await server.swap({ ...names, expectedLive: undefined });
    expect(await now()).toEqual([stagingIdentity, undefined, names.expectedLive]);
  });

  it('leaves another database alone that came to have the name in between', async () => {
    const { names, stagingIdentity, steps, now } = await prepare();
    const creating: Promise<void>[] = [];
    const racing: RenameSteps = {
      ...steps,
      rename: async (rename) => {
        await Promise.all(creating);
        await steps.rename(rename);
      },
    };
    const reach = (): void => void creating.push(server.createDatabase(names.live));
    await expect(swapInTwoSteps(racing, { ...names, crashPoints: { reach } })).rejects.toMatchObject({
      code: 'database-unreachable',
    });
    const [live, staging, before] = await now();
    expect([staging, before]).toEqual([stagingIdentity, names.expectedLive]);
    expect([stagingIdentity, names.expectedLive]).not.toContain(live);
  });
});

describe('a swap whose connection is lost', () => {
  const cuts: readonly Cut[] = ['request lost', 'reply lost'];
  it.each(cuts.flatMap((cut) => [1, 2].map((step) => [cut, step] as const)))(
    'at a COMMIT (%s, rename %i) comes to its end all the same',
    async (cut, step) => {
      const target = parseDatabaseUrl(url);
      const proxy = await startCuttingProxy(target);
      const { names, stagingIdentity, steps, now } = await prepare({ ...target, port: proxy.port, host: '127.0.0.1' });
      onTestFinished(() => expect(proxy.cuts).toEqual(['COMMIT']));
      const renamed = step === 1 ? names.live : names.staging;
      proxy.cutAt(cut, /^COMMIT$/, new RegExp(`ALTER DATABASE "${renamed}"`));
      await swapInTwoSteps(steps, { ...names, notAfter: new Date(Date.now() + 600_000) });
      expect(await now()).toEqual([stagingIdentity, undefined, names.expectedLive]);
    },
  );
});
