/** The story of a backup that is needed, told and checked: npm run demo [-- --keep]. Exits 1 when anything differs. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '#adapters/system/clock.ts';
import { colourStyle, plainStyle } from '#cli/output/style.ts';
import { formatDuration } from '#cli/output/units.ts';
import { Narrator } from './narrator.ts';
import { clearStage, setStage } from './stage.ts';
import { tellStory } from './story.ts';

const { argv, env, stdout, stderr } = process;
const stopSignals = [
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 143],
] as const;

const options = argv.slice(2);
const keep = options.includes('--keep');
if (options.some((option) => option !== '--keep')) {
  stderr.write('Usage: npm run demo [-- --keep]\n\n--keep leaves the directory of the story, and says where it is.\n');
  process.exit(2);
}

const interruption = new AbortController();
let interruptedWith: number | undefined;
function interrupt(exitCode: number): void {
  interruptedWith ??= exitCode;
  interruption.abort();
}
for (const [signal, exitCode] of stopSignals) process.on(signal, () => interrupt(exitCode));

// Whoever read along has gone away: npm run demo | head.
stdout.on('error', () => interrupt(143));

const begunMs = systemClock.monotonicMs();
const style = stdout.isTTY && (env['NO_COLOR'] ?? '') === '' && env['TERM'] !== 'dumb' ? colourStyle : plainStyle;
const narrator = new Narrator((text) => void stdout.write(text), style);
const directory = mkdtempSync(join(tmpdir(), 'enclave-manager-demo-'));
const stage = setStage({ narrator, directory, signal: interruption.signal });
process.exitCode = await tell();

async function tell(): Promise<number> {
  try {
    await tellStory(stage);
    return 0;
  } catch (error) {
    if (interruptedWith !== undefined) {
      narrator.say('Interrupted.');
      return interruptedWith;
    }
    stderr.write(`\nThe demo FAILED: ${error instanceof Error ? error.message : String(error)}\n`);
    return 1;
  } finally {
    await clearStage(stage);
    leave();
  }
}

function leave(): void {
  if (keep) {
    narrator.say(`Everything is kept in ${directory}.`);
    return;
  }
  rmSync(directory, { recursive: true, force: true });
  const durationMs = systemClock.monotonicMs() - begunMs;
  narrator.say(`That took ${formatDuration(durationMs)}. ${directory} is removed.`);
}
