import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Flags } from './flags.ts';
import { translate } from './statements.ts';

/** `cockroach sql`: what is given by --execute, else what is typed or piped in; stops at the first error. */
export async function runShell(flags: Flags, environment: NodeJS.ProcessEnv): Promise<number> {
  const { COCKROACH_USER, COCKROACH_CERTS_DIR, PATH } = environment;
  const user = flags.user ?? COCKROACH_USER ?? 'root';
  const [host = 'localhost', port = '26257'] = (flags.host ?? 'localhost').split(':');
  const certificates = flags['certs-dir'] ?? COCKROACH_CERTS_DIR;
  const parameters = ['-X', '-v', 'ON_ERROR_STOP=1', ...(flags.format === 'csv' ? ['--csv'] : [])];
  const psql = spawn('psql', parameters, {
    stdio: ['pipe', 'inherit', 'inherit'],
    env: {
      PATH,
      PGHOST: host,
      PGPORT: port,
      PGUSER: user,
      PGDATABASE: flags.database ?? 'postgres',
      ...(flags.insecure ? { PGSSLMODE: 'disable' } : secured(certificates, user)),
    },
  });
  const ended = once(psql, 'close') as Promise<[number | null]>;
  // A psql that stopped at an error reads no further.
  await pipeline(Readable.from(statements(flags, user)), psql.stdin).catch(() => {});
  const [code] = await ended;
  return code ?? 1;
}

function secured(certificates: string | undefined, user: string): Record<string, string> {
  if (certificates === undefined) throw new Error('give --insecure or --certs-dir');
  return {
    PGSSLMODE: 'verify-full',
    PGSSLROOTCERT: `${certificates}/ca.crt`,
    PGSSLCERT: `${certificates}/client.${user}.crt`,
    PGSSLKEY: `${certificates}/client.${user}.key`,
  };
}

async function* statements({ execute, database }: Flags, user: string): AsyncGenerator<string> {
  if (execute !== undefined) {
    for (const statement of execute) yield `${translate(statement)}\n;\n`;
    return;
  }
  const typed = process.stdin.isTTY;
  const lines = createInterface({ input: process.stdin, ...(typed ? { output: process.stderr } : {}) });
  lines.setPrompt(typed ? `${user}@:26257/${database ?? 'defaultdb'}> ` : '');
  if (typed) lines.prompt();
  for await (const line of lines) {
    if (typed && /^\s*(?:quit|exit|\\q)\s*;?$/.test(line)) return;
    yield `${translate(line)}\n`;
    if (typed) lines.prompt();
  }
}
