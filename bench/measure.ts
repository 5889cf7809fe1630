import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { childrenCpuMs, peakBytes, cpuMs, familyCpuMs, reapedCpuMs } from './processes.ts';

/** A whole process, or several that a shell joins. */
export interface Job {
  readonly program: string;
  readonly parameters: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

export interface Phase {
  readonly name: string;
  readonly durationMs: number;
  readonly cpuMs: number;
  readonly databaseCpuMs: number;
  readonly storeCpuMs: number;
}

export interface Measurement {
  readonly wallMs: number;
  /** Of the process and everything it started, the database apart. */
  readonly cpuMs: number;
  readonly databaseCpuMs: number;
  /** VmHWM of the process that was started, not of its children. */
  readonly peakBytes: number;
  readonly phases: readonly Phase[];
  readonly stdout: string;
}

const longestMs = 3_600_000;
const peakEveryMs = 25;

/** Whose CPU is counted apart. */
export interface Watched {
  readonly postmaster: number;
  /** Names of programs that this process has started. */
  readonly storePrograms?: readonly string[] | undefined;
}

/** Runs a job to its end. Throws with what it said when it fails. */
export async function measure(job: Job, { postmaster, storePrograms = [] }: Watched): Promise<Measurement> {
  const begun = { ms: performance.now(), cpuMs: reapedCpuMs(), databaseCpuMs: familyCpuMs(postmaster) };
  const child = spawn(job.program, job.parameters, {
    env: job.env,
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: longestMs,
    killSignal: 'SIGKILL',
  });
  let peak = 0;
  const watch = setInterval(() => (peak = Math.max(peak, peakBytes(child.pid!))), peakEveryMs);
  const phases = new PhaseWatch(() => ({
    cpuMs: cpuMs(child.pid!),
    databaseCpuMs: familyCpuMs(postmaster),
    storeCpuMs: childrenCpuMs(storePrograms),
  }));
  const errors: string[] = [];
  createInterface(child.stderr).on('line', (line) => {
    if (!phases.read(line)) errors.push(line);
  });
  try {
    const closed: Promise<unknown[]> = once(child, 'close');
    const [stdout, [exitCode]] = await Promise.all([text(child.stdout), closed]);
    const wallMs = performance.now() - begun.ms;
    if (exitCode !== 0) throw failed(job, exitCode, [...errors, stdout]);
    return {
      wallMs,
      cpuMs: reapedCpuMs() - begun.cpuMs,
      databaseCpuMs: familyCpuMs(postmaster) - begun.databaseCpuMs,
      peakBytes: peak,
      phases: phases.ended,
      stdout,
    };
  } finally {
    clearInterval(watch);
  }
}

type Cpu = Pick<Phase, 'cpuMs' | 'databaseCpuMs' | 'storeCpuMs'>;

/** Reads the lines that `--phases` prints, and looks at the clocks of the CPU when each comes. */
class PhaseWatch {
  readonly ended: Phase[] = [];
  readonly #clocks: () => Cpu;
  #begun: Cpu = { cpuMs: 0, databaseCpuMs: 0, storeCpuMs: 0 };

  constructor(clocks: () => Cpu) {
    this.#clocks = clocks;
  }

  /** Whether the line was one of those. */
  read(line: string): boolean {
    if (!line.startsWith('{"phase":')) return false;
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- The product's own line; see progress-phases.ts.
    const said = JSON.parse(line) as { phase: string; event: 'begin' | 'end'; durationMs: number };
    const now = this.#clocks();
    if (said.event === 'begin') this.#begun = now;
    else {
      this.ended.push({
        name: said.phase,
        durationMs: said.durationMs,
        cpuMs: now.cpuMs - this.#begun.cpuMs,
        databaseCpuMs: now.databaseCpuMs - this.#begun.databaseCpuMs,
        storeCpuMs: now.storeCpuMs - this.#begun.storeCpuMs,
      });
    }
    return true;
  }
}

function failed(job: Job, exitCode: unknown, said: readonly string[]): Error {
  return new Error(`${job.program} ended with ${String(exitCode)}:\n${said.join('\n').slice(-2000)}`);
}

/** A job of the shell, in which a failure of any program of a pipe fails the whole. */
export function shell(script: string, env: Job['env']): Job {
  return { program: 'bash', parameters: ['-c', `set -euo pipefail\n${script}`], env };
}
