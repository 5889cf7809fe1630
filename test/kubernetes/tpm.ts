import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../fixtures/free-port.ts';
import { until } from './waiting.ts';

export interface Tpm {
  /** How tpm2-tools reach it from a pod. */
  readonly tcti: string;
  readonly port: number;
  stop(): void;
}

/** A software TPM on this machine, at an address that pods reach: the TPM of one host. It ends with this process. */
export async function startTpm(address: string): Promise<Tpm> {
  const directory = mkdtempSync(join(tmpdir(), 'em-tpm-'));
  const port = await freePairOfPorts(address);
  const place = (at: number): string => `type=tcp,port=${at},bindaddr=${address}`;
  const flags = ['--tpm2', '--flags', 'not-need-init,startup-clear', '--tpmstate', `dir=${directory}`];
  const sockets = ['--server', place(port), '--ctrl', place(port + 1)];
  const swtpm = ['--pdeathsig', 'KILL', '--', 'swtpm', 'socket', ...flags, ...sockets];
  const child = spawn('setpriv', swtpm, { stdio: 'ignore' });
  await until('a TPM that answers', 20_000, async () => ((await listens(port + 1, address)) ? true : undefined));
  return {
    tcti: `swtpm:host=${address},port=${port}`,
    port,
    stop: () => {
      child.kill('SIGKILL');
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** Control commands go to the port after that of the TPM's own. */
async function freePairOfPorts(address: string): Promise<number> {
  for (;;) {
    const port = await freePort(address);
    if (port < 65_535 && !(await listens(port + 1, address))) return port;
  }
}

async function listens(port: number, address: string): Promise<boolean> {
  const socket = connect(port, address);
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
