/** Where the program begins. `composition.ts`, loaded when a command needs it, and `worker.ts` know every adapter. */
import { closeSync, openSync, readSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { toEnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { systemClock } from '#adapters/system/clock.ts';
import { commands } from '#cli/commands.ts';
import { Interruption, stopSignals, watchParent } from '#cli/interruption.ts';
import { programName, spellingOf } from '#cli/output/program-name.ts';
import { printableLines } from '#cli/output/style.ts';
import { runCommandLine } from '#cli/run.ts';

const maxSecretFileBytes = 65_536;
const { argv, env, stdin, stdout, stderr } = process;

const interruption = new Interruption(systemClock, (exitCode) => process.exit(exitCode));
// `on`, not `once`: npm and the terminal both send Ctrl-C, and without a handler the second would kill us.
for (const signal of stopSignals) process.on(signal, () => interruption.handle(signal));
// npm start and npx; npx, when it is terminated, leaves without telling us.
if (['start', 'npx'].includes(env['npm_lifecycle_event'] ?? '')) watchParent(() => process.ppid, stopUnlessStopping);
process.on('uncaughtException', failUnexpectedly);
process.on('unhandledRejection', failUnexpectedly);

const exitCode = await runCommandLine(commands, {
  argv: argv.slice(2),
  streams: { stdin, stdout, stderr },
  spelling: spellingOf(env, () =>
    programName({
      script: argv[1] ?? '',
      root: join(import.meta.dirname, '..'),
      startedBy: env['npm_lifecycle_event'],
      workingDirectory: env['INIT_CWD'] ?? process.cwd(),
    }),
  ),
  colour: (env['NO_COLOR'] ?? '') === '' && env['TERM'] !== 'dumb',
  clock: systemClock,
  signal: interruption.signal,
  configurationSources: {
    environment: env,
    workingDirectory: process.cwd(),
    hostName: hostname(),
    readFile: readSecretFile,
  },
  loadAdapters: async (command) => {
    const { loadAdapters } = await import('./composition.ts');
    return loadAdapters({ env, command, hostName: hostname(), processId: process.pid, stdin });
  },
});
// Whatever is still open must not keep a finished command running; what was printed is flushed first.
stdout.write('', () => stderr.write('', () => process.exit(exitCode)));

function readSecretFile(path: string): string {
  const file = openSync(path, 'r');
  try {
    // Not by its size: a device or a pipe has none.
    const bytes = Buffer.alloc(maxSecretFileBytes + 1);
    let length = 0;
    for (let read = -1; read !== 0 && length < bytes.length; length += read)
      read = readSync(file, bytes, length, bytes.length - length, null);
    if (length > maxSecretFileBytes) throw Object.assign(new Error('the file is too large'), { code: 'EFBIG' });
    return bytes.toString('utf8', 0, length);
  } finally {
    closeSync(file);
  }
}

/** A second signal would count as impatience. */
function stopUnlessStopping(): void {
  if (!interruption.signal.aborted) interruption.handle('SIGHUP');
}

function failUnexpectedly(error: unknown): void {
  const failure = toEnclaveManagerError(error);
  stderr.write(`${printableLines(`Error: ${failure.message}\n${failure.hint}`)}\n`);
  if (env['ENCLAVE_MANAGER_DEBUG'] === '1' && error instanceof Error) stderr.write(`${error.stack}\n`);
  process.exit(failure.exitCode);
}
