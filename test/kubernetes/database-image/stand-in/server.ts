import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { certificatesOf } from './certificates.ts';
import type { Flags } from './flags.ts';
import { serveHealth } from './health.ts';

/** `cockroach start-single-node`: PostgreSQL with a superuser `root`, until SIGTERM. */
export async function startServer(flags: Flags): Promise<number> {
  const data = join(flags.store ?? 'cockroach-data', 'postgresql');
  if (!existsSync(data)) initialize(data);
  // Kubernetes lets no second pod of this name run; the number in the file may be another process's by now.
  rmSync(join(data, 'postmaster.pid'), { force: true });
  writeFileSync(join(data, 'pg_hba.conf'), flags.insecure ? 'host all all all trust\n' : 'hostssl all all all cert\n');
  const port = portOf(flags['listen-addr'] ?? ':26257');
  const postgres = spawn('postgres', ['-D', data, '-k', '/tmp', '-p', port, ...settings(flags)], { stdio: 'inherit' });
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => postgres.kill('SIGINT'));
  const health = serveHealth(Number(portOf(flags['http-addr'] ?? ':8080')), Number(port), certificatesOf(flags));
  const [code] = (await once(postgres, 'close')) as [number | null];
  health.closeAllConnections();
  health.close();
  return code ?? 1;
}

/** By way of another name, so that what a killed start left is begun anew. */
function initialize(data: string): void {
  const unfinished = `${data}.unfinished`;
  rmSync(unfinished, { recursive: true, force: true });
  const form = ['-E', 'UTF8', '--locale=C.UTF-8', '-A', 'reject'];
  execFileSync('initdb', ['-D', unfinished, '-U', 'root', ...form], { stdio: 'inherit' });
  renameSync(unfinished, data);
}

function settings(flags: Flags): string[] {
  const values: Record<string, string> = { listen_addresses: '*', shared_buffers: '64MB' };
  if (!flags.insecure) {
    const { ca, certificate, key } = certificatesOf(flags)!;
    Object.assign(values, { ssl: 'on', ssl_ca_file: ca, ssl_cert_file: certificate, ssl_key_file: key });
  }
  return Object.entries(values).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
}

const portOf = (address: string): string => address.slice(address.lastIndexOf(':') + 1);
