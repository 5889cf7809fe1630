import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { runCommand, runJson, startCommand, type CommandOptions, type StartedCommand } from '../fixtures/command.ts';
import { temporaryDirectory } from '../fixtures/host.ts';
import { TestTpm } from '../fixtures/swtpm.ts';

/** A network of its own, without losing the user: as root, or where users may make namespaces. */
const apart = process.getuid?.() === 0 ? ['-n'] : ['-c', '-n', '--keep-caps'];

/** Why machines cannot be kept apart here; `undefined` where they can. */
export const namespacesUnavailable =
  spawnSync('unshare', [...apart, 'sh', '-c', 'ip link set lo up'], { stdio: 'ignore' }).status === 0
    ? undefined
    : 'no network namespaces for this user: install iproute2, or allow unprivileged user namespaces';

/** In its namespace: loopback, the wire to the object storage, and then the program in place of the shell. */
const script = `ip link set lo up || exit 99
"$0" test/disaster/wire.ts "$1" "$2" $$ "$3" </dev/null >/dev/null 2>&1 &
until [ -e "$3" ]; do sleep 0.05; done
shift 3
exec "$0" src/main.ts "$@"`;

/**
 * A machine: a TPM, a disk, and a network in which nothing but the object storage can be reached. The database answers on a
 * Unix socket.
 */
export class Machine {
  readonly tpm: TestTpm;
  disk = temporaryDirectory();
  readonly #env: Readonly<Record<string, string>>;
  readonly #wire: { readonly port: number; readonly socketPath: string };

  private constructor(tpm: TestTpm, env: Readonly<Record<string, string>>, wire: Machine['wire']) {
    this.tpm = tpm;
    this.#env = { ...env, ENCLAVE_MANAGER_SEALING: 'tpm2', ENCLAVE_MANAGER_TPM_TCTI: tpm.tcti };
    this.#wire = wire;
  }

  static async build(site: string, name: string, env: Readonly<Record<string, string>>): Promise<Machine> {
    const { port } = new URL(env['ENCLAVE_MANAGER_S3_ENDPOINT']!);
    const socketPath = join(temporaryDirectory(), 'wire');
    await outerEnd(socketPath, Number(port));
    const place = { ENCLAVE_MANAGER_SITE: site, ENCLAVE_MANAGER_NODE_NAME: name };
    return new Machine(await TestTpm.start(), { ...env, ...place }, { port: Number(port), socketPath });
  }

  get wire(): { readonly port: number; readonly socketPath: string } {
    return this.#wire;
  }

  start(args: readonly string[], env: Readonly<Record<string, string>> = {}): StartedCommand {
    return startCommand(args, this.#options(env));
  }

  run(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
    return runCommand([...args, '--json'], this.#options(env));
  }

  async json(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<unknown> {
    return await runJson(args, this.#options(env));
  }

  /** The disk is replaced by an empty one. */
  loseDisk(): void {
    rmSync(this.disk, { recursive: true, force: true });
    this.disk = temporaryDirectory();
  }

  async burn(): Promise<void> {
    this.loseDisk();
    await this.tpm.destroy();
  }

  #options(env: Readonly<Record<string, string>>): CommandOptions {
    const { port, socketPath } = this.#wire;
    const ready = join(temporaryDirectory(), 'ready');
    const inside = ['sh', '-c', script, process.execPath, String(port), socketPath, ready];
    return {
      dataDirectory: this.disk,
      env: { ...this.#env, ...env },
      program: ['unshare', ...apart, ...inside],
    };
  }
}

async function outerEnd(socketPath: string, port: number): Promise<void> {
  const server = createServer((inside) => {
    const outside = connect(port, '127.0.0.1');
    inside.pipe(outside).pipe(inside);
    inside.on('error', () => outside.destroy());
    outside.on('error', () => inside.destroy());
  });
  server.listen(socketPath);
  await once(server, 'listening');
  onTestFinished(() => void server.close());
}
