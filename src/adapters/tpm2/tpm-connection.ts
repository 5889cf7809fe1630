import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { access, constants, mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { errnoName } from '#errors/file-system-error.ts';
import {
  checkDeviceFile,
  hasResourceManager,
  noAnswer,
  type TpmDevice,
  toolMissing,
  toolProblem,
} from './tpm-device.ts';

const usualSearchPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const defaultCommandTimeoutMs = 60_000;
const closeTimeoutMs = 5_000;
const headerBytes = 10;
const tool = 'tpm2_send';
/** With util-linux; the lock is the tool's own, and gone with it. */
const lockProgram = '/usr/bin/flock';
const lockWaitSeconds = 45;
/** More than any TPM answers. */
const maxResponseBytes = 8192;
const maxComplaintBytes = 8192;

/**
 * One tpm2_send of the tpm2-tools, which keeps the device open and passes commands on as they are. So secrets go through
 * its pipes alone, nothing is written to files, and whatever was loaded is gone from a resource-managed device with it.
 */
export class TpmConnection {
  readonly #device: TpmDevice;
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  #received: Buffer = Buffer.alloc(0);
  #complaint = '';
  #ended = false;
  #wake: () => void = () => {};

  private constructor(device: TpmDevice) {
    this.#device = device;
    const [program, ...words] = [...turnsOf(device), tool, `--tcti=${device.tcti}`];
    this.#child = spawn(program, words, {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { PATH: device.searchPath ?? usualSearchPath, LC_ALL: 'C', TSS2_LOG: 'all+ERROR' },
      // A Ctrl-C in the terminal is for us; it must not look like a failing device.
      detached: true,
    });
    this.#child.stdout.on('data', (bytes: Buffer) => this.#receive(bytes));
    this.#child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#complaint = (this.#complaint + text).slice(0, maxComplaintBytes);
    });
    // A tool that has ended cannot be written to; how it ended says more.
    this.#child.stdin.on('error', () => {});
    this.#child.once('close', () => {
      this.#ended = true;
      this.#wake();
    });
  }

  /** Throws `sealing-unavailable` where the device or the tool is missing or may not be used. */
  static async open(device: TpmDevice): Promise<TpmConnection> {
    await checkDeviceFile(device);
    const { lockFile } = device;
    if (lockFile !== undefined && !hasResourceManager(device)) {
      await TpmConnection.checkTool(device);
      await mkdir(dirname(lockFile), { recursive: true, mode: 0o700 });
    }
    const connection = new TpmConnection(device);
    try {
      await once(connection.#child, 'spawn');
    } catch (error) {
      throw errnoName(error) === 'ENOENT' ? toolMissing(error) : toolProblem(device, String(error));
    }
    return connection;
  }

  /** Throws `sealing-unavailable` where tpm2-tools are not installed. */
  static async checkTool({ searchPath = usualSearchPath }: TpmDevice): Promise<void> {
    const places = searchPath.split(':').map((directory) => join(directory, tool));
    const checks = await Promise.allSettled(places.map((place) => access(place, constants.X_OK)));
    if (checks.every(({ status }) => status === 'rejected')) throw toolMissing(undefined);
  }

  /** The whole response to one whole command. The caller may not send another before. */
  async transmit(command: Buffer): Promise<Buffer> {
    const timeoutMs = this.#device.commandTimeoutMs ?? defaultCommandTimeoutMs;
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), timeoutMs);
    try {
      this.#child.stdin.write(command);
      for (;;) {
        const response = this.#takeResponse();
        if (response !== undefined) return response;
        if (this.#ended) break;
        await new Promise<void>((resolve) => (this.#wake = resolve));
      }
    } finally {
      clearTimeout(timer);
    }
    throw this.#child.signalCode === null
      ? toolProblem(this.#device, this.#complaint)
      : noAnswer(this.#device, timeoutMs);
  }

  async close(): Promise<void> {
    this.#received.fill(0);
    if (this.#ended) return;
    const closed = once(this.#child, 'close');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), closeTimeoutMs);
    this.#child.stdin.end();
    await closed;
    clearTimeout(timer);
  }

  #receive(bytes: Buffer): void {
    const before = this.#received;
    this.#received = Buffer.concat([before, bytes]);
    before.fill(0);
    bytes.fill(0);
    if (this.#received.length > maxResponseBytes) this.#child.kill('SIGKILL');
    this.#wake();
  }

  #takeResponse(): Buffer | undefined {
    if (this.#received.length < headerBytes) return undefined;
    const size = this.#received.readUInt32BE(2);
    if (this.#received.length < size) return undefined;
    const response = this.#received;
    this.#received = Buffer.alloc(0);
    return response;
  }
}

function turnsOf(device: TpmDevice): string[] {
  if (device.lockFile === undefined || hasResourceManager(device)) return [];
  return [lockProgram, '--no-fork', '--wait', String(lockWaitSeconds), device.lockFile];
}
