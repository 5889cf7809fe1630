import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { connect } from 'node:net';
import type { CertificateFiles } from './certificates.ts';

/** CockroachDB's `/health`: it lives; with `?ready=1`: and takes connections. */
export function serveHealth(port: number, sqlPort: number, files: CertificateFiles | undefined): Server {
  const answer = async (path: string): Promise<number> => {
    const { pathname, searchParams } = new URL(path, 'http://here');
    if (pathname !== '/health') return 404;
    return searchParams.get('ready') !== '1' || (await accepts(sqlPort)) ? 200 : 503;
  };
  const server =
    files === undefined
      ? createServer()
      : createTlsServer({ cert: readFileSync(files.certificate), key: readFileSync(files.key) });
  server.on('request', (request, response) => {
    void answer(request.url ?? '/').then((status) => response.writeHead(status).end('{}\n'));
  });
  return server.listen(port);
}

async function accepts(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const settle = (accepted: boolean): void => {
      socket.destroy();
      resolve(accepted);
    };
    socket.once('connect', () => settle(true)).once('error', () => settle(false));
    socket.setTimeout(2000, () => settle(false));
  });
}
