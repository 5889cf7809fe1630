import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { UnpackedImage } from './unpacked-image.ts';

export interface ContainerOptions {
  readonly image: UnpackedImage;
  /** What is mounted on `/data`; it belongs to user 65532. */
  readonly dataDirectory: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Instead of the image's `Cmd`. */
  readonly command?: readonly string[];
}

export interface Ended {
  readonly exitCode: number | null;
  readonly output: string;
}

/** A command in the image's file tree, as an engine would run it: the settings of the image, and no engine. */
export class Container {
  readonly ended: Promise<Ended>;
  readonly #image: UnpackedImage;
  readonly #outside: ChildProcess;
  #output = '';

  constructor({ image, dataDirectory, env = {}, command = image.settings.Cmd }: ContainerOptions) {
    this.#image = image;
    const script = join(import.meta.dirname, 'run-in-container.sh');
    const words = [image.root, dataDirectory, ...image.settings.Entrypoint, ...command];
    this.#outside = spawn(script, words, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...image.environment, ...env } });
    for (const stream of [this.#outside.stdout!, this.#outside.stderr!])
      stream.setEncoding('utf8').on('data', (text: string) => (this.#output += text));
    this.ended = once(this.#outside, 'close').then(([code]) => ({
      exitCode: code as number | null,
      output: this.#output,
    }));
  }

  /** Waits until it printed this; throws when it ends before. */
  async saw(pattern: RegExp): Promise<void> {
    while (!pattern.test(this.#output)) {
      if (this.#outside.exitCode !== null) throw new Error(`ended before ${pattern}: ${this.#output}`);
      await sleep(50);
    }
  }

  /** The process that is number 1 within, by its number here. */
  get firstProcess(): number {
    const id = this.#outside.pid;
    return Number(readFileSync(`/proc/${id}/task/${id}/children`, 'utf8').trim());
  }

  /** A command within it, as `kubectl exec` starts one. */
  exec(...words: readonly string[]): {
    readonly status: number | null;
    readonly stdout: string;
    readonly stderr: string;
  } {
    const into = ['-t', `${this.firstProcess}`, '--mount', '--pid', '--net', '--root', '--wd', '--'];
    const user = ['/usr/bin/setpriv', '--reuid', '65532', '--regid', '65532', '--clear-groups', '--'];
    return spawnSync('nsenter', [...into, ...user, ...words], {
      encoding: 'utf8',
      env: this.#image.environment,
      timeout: 60_000,
    });
  }

  /** What `/proc/1/status` says under a name. */
  statusOf(name: string): string | undefined {
    const status = readFileSync(`/proc/${this.firstProcess}/status`, 'utf8');
    return new RegExp(`^${name}:\\s+(.*)$`, 'm').exec(status)?.[1];
  }

  /** Every process within, as `state name`. */
  processes(): string[] {
    return this.exec('sh', '-c', 'cat /proc/[0-9]*/stat')
      .stdout.split('\n')
      .flatMap((line) => {
        const [, name, state] = /^\d+ \((.*)\) (.) /.exec(line) ?? [];
        return name === undefined ? [] : [`${state} ${name}`];
      });
  }

  signal(name: NodeJS.Signals): void {
    process.kill(this.firstProcess, name);
  }

  /** Ends it at once, if it has not ended. */
  async kill(): Promise<void> {
    // With process 1 its namespace ends. The one outside is told by it, and may be alone if nothing has begun within.
    if (this.#outside.exitCode === null) process.kill(this.firstProcess || this.#outside.pid!, 'SIGKILL');
    await this.ended;
  }
}
