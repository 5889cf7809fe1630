import { fastify, type FastifyInstance } from 'fastify';
import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { Readiness } from '#model/readiness.ts';

export interface HealthServer {
  /** `http://127.0.0.1:8080`, with the port that was taken when 0 was asked for. */
  readonly address: string;
  close(): Promise<void>;
}

export interface HealthServerOptions {
  readonly host: string;
  readonly port: number;
  readonly readiness: () => Readiness;
}

const maxBodyBytes = 1024;
const requestTimeoutMs = 10_000;

/** Answers `/livez` and `/readyz` from before the database is up. `configuration` when the address cannot be used. */
export async function startHealthServer(options: HealthServerOptions): Promise<HealthServer> {
  const server = buildHealthServer(options.readiness);
  try {
    return { address: await server.listen({ host: options.host, port: options.port }), close: () => server.close() };
  } catch (error) {
    await server.close();
    throw listenFailure(options, error);
  }
}

/** The routes without a socket. */
export function buildHealthServer(readiness: () => Readiness): FastifyInstance {
  const server = fastify({
    logger: false,
    bodyLimit: maxBodyBytes,
    requestTimeout: requestTimeoutMs,
    connectionTimeout: requestTimeoutMs,
    keepAliveTimeout: requestTimeoutMs,
    forceCloseConnections: true,
    // Probes hammer these routes; a slow reader must not keep memory.
    maxRequestsPerSocket: 100,
    frameworkErrors: (_error, _request, reply) => {
      reply.hijack();
      reply.raw.writeHead(400, { 'content-type': 'application/json; charset=utf-8' }).end(JSON.stringify(malformed));
    },
  });
  server.addHook('onSend', async (_request, reply) => {
    reply.headers({
      'cache-control': 'no-store',
      'content-security-policy': "default-src 'none'",
      'x-content-type-options': 'nosniff',
    });
  });
  server.setNotFoundHandler(async (request, reply) => {
    reply.code(404);
    return failure(
      'not-found',
      `there is nothing at ${request.method} ${request.url.slice(0, 200)}`,
      'Ask for /livez or /readyz.',
    );
  });
  server.setErrorHandler(async (error: { readonly statusCode?: number }, _request, reply) => {
    const status = error.statusCode ?? 500;
    reply.code(status);
    return status < 500 ? malformed : failure('unexpected', 'the request failed', 'Look at the output of serve.');
  });
  server.get('/livez', async () => ({ alive: true }));
  server.get('/readyz', async (_request, reply) => {
    const { retryAfterSeconds, ...answer } = readiness();
    if (!answer.ready) reply.code(503);
    if (retryAfterSeconds !== null) reply.header('retry-after', String(retryAfterSeconds));
    return answer;
  });
  return server;
}

const failure = (code: string, message: string, hint: string) => ({ error: { code, message, hint } });
const malformed = failure('usage', 'the request is malformed', 'Send GET /livez or GET /readyz without a body.');

function listenFailure({ host, port }: HealthServerOptions, error: unknown): unknown {
  const code = error instanceof Error && 'code' in error ? String(error.code) : undefined;
  const reasons: Readonly<Record<string, string>> = {
    EADDRINUSE: 'something listens there already',
    EACCES: 'this user may not listen there',
    EADDRNOTAVAIL: 'this host has no such address',
    ENOTFOUND: 'this name is unknown',
    EAI_AGAIN: 'this name could not be looked up',
  };
  const reason = code === undefined ? undefined : reasons[code];
  if (reason === undefined) return error;
  return new EnclaveManagerError('configuration', `ENCLAVE_MANAGER_LISTEN=${host}:${port}: ${reason}`, {
    hint: 'Set ENCLAVE_MANAGER_LISTEN to a free address, such as 127.0.0.1:8081; port 0 takes any free one.',
    cause: error,
  });
}
