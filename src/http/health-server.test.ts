import { connect } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { notReady, ready, type Readiness } from '#model/readiness.ts';
import { buildHealthServer, startHealthServer } from './health-server.ts';

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

const get = async (url: string, state: Readiness) =>
  await buildHealthServer(() => state).inject({ method: 'GET', url });

describe('the health server', () => {
  it('is alive whether or not it is ready', async () => {
    const answer = await get('/livez', notReady('starting'));
    expect([answer.statusCode, answer.json()]).toEqual([200, { alive: true }]);
  });

  it('answers 200 when ready', async () => {
    const answer = await get('/readyz', ready);
    expect([answer.statusCode, answer.json()]).toEqual([200, { ready: true, reasons: [], commands: [] }]);
    expect(answer.headers['x-content-type-options']).toBe('nosniff');
  });

  it('answers 503 with Retry-After during maintenance', async () => {
    const answer = await get('/readyz', notReady('a restore is under way', { retryAfterSeconds: 2 }));
    expect([answer.statusCode, answer.headers['retry-after']]).toEqual([503, '2']);
    expect(answer.json()).toEqual({ ready: false, reasons: ['a restore is under way'], commands: [] });
  });

  it('answers 503 with the commands that restore', async () => {
    const answer = await get(
      '/readyz',
      notReady('the database is empty', { commands: ['enclave-manager restore run latest'] }),
    );
    expect(answer.json()).toEqual({
      ready: false,
      reasons: ['the database is empty'],
      commands: ['enclave-manager restore run latest'],
    });
  });

  it.each([
    ['GET', '/', 404],
    ['POST', '/livez', 404],
    ['GET', '/%', 400],
  ] as const)('answers %s %s with a JSON error', async (method, url, status) => {
    const answer = await buildHealthServer(() => ready).inject({ method, url });
    expect(answer.statusCode).toBe(status);
    expect(answer.json()).toMatchObject({ error: { code: expect.any(String), hint: expect.any(String) } });
  });

  it('names the variable when the port is taken', async () => {
    const first = await startHealthServer({ host: '127.0.0.1', port: 0, readiness: () => ready });
    closers.push(first.close);
    const port = Number(new URL(first.address).port);
    await expect(startHealthServer({ host: '127.0.0.1', port, readiness: () => ready })).rejects.toMatchObject({
      code: 'configuration',
      message: `ENCLAVE_MANAGER_LISTEN=127.0.0.1:${port}: something listens there already`,
    });
  });

  it('closes at once although a client keeps its connection open', async () => {
    const server = await startHealthServer({ host: '127.0.0.1', port: 0, readiness: () => ready });
    const socket = connect(Number(new URL(server.address).port), '127.0.0.1');
    await new Promise<void>((resolve) => socket.once('connect', resolve));
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    socket.on('error', () => {});
    await server.close();
    await closed;
    expect(socket.destroyed).toBe(true);
  });
});
