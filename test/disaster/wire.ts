/**
 * One end of a wire between a machine and the outside: takes TCP connections on a port of 127.0.0.1 and passes them on through
 * a Unix socket, which network namespaces share. Ends with the process whose id it is given.
 */
import { existsSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';

const [port, socketPath, owner, readyFile] = process.argv.slice(2);

const server = createServer((inside) => {
  const outside = connect(socketPath!);
  inside.pipe(outside).pipe(inside);
  inside.on('error', () => outside.destroy());
  outside.on('error', () => inside.destroy());
});
server.listen(Number(port), '127.0.0.1', () => writeFileSync(readyFile!, ''));
setInterval(() => {
  if (!existsSync(`/proc/${owner}`)) process.exit();
}, 100);
