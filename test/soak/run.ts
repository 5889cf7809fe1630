import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startSharedServer } from './database-place.ts';
import { Journal } from './journal.ts';
import { unavailableOperations } from './operations/operations.ts';
import type { SoakOptions } from './options.ts';
import { playRound, RoundFailed } from './round.ts';
import { Tally } from './tally.ts';

export interface SoakResult {
  readonly tally: Tally;
  readonly minutes: number;
  readonly operations: number;
  readonly violation: RoundFailed | undefined;
  readonly journal: string;
  readonly server: string;
}

/** Plays rounds until the time or the operations are used up, or a promise was not kept. */
export async function soak(options: SoakOptions, report: (line: string) => void): Promise<SoakResult> {
  const directory = options.directory ?? mkdtempSync(join(tmpdir(), 'em-soak-'));
  mkdirSync(directory, { recursive: true, mode: 0o711 });
  const journal = new Journal(join(directory, 'journal.jsonl'));
  const tally = new Tally();
  const begunMs = performance.now();
  const minutes = (): number => (performance.now() - begunMs) / 60_000;
  const done = (): number => tally.of('operation: ');
  const shared = await startSharedServer();
  for (const { name, unavailable } of unavailableOperations) report(`not done here: ${name}: ${unavailable}`);
  report(`seed ${options.seed}, on ${shared.name}, in ${directory}`);
  let violation: RoundFailed | undefined;
  try {
    const single = options.round !== undefined;
    for (let round = options.round ?? 1; ; round += 1) {
      await playRound({
        seed: options.seed,
        round,
        directory,
        shared,
        journal,
        tally,
        operations: Math.min(options.operationsPerRound, options.until),
        goOn: () => !options.isEnough(tally) && done() < options.operations && (single || minutes() < options.minutes),
        report,
      });
      if (single || minutes() >= options.minutes || done() >= options.operations) break;
    }
  } catch (error) {
    if (!(error instanceof RoundFailed)) throw error;
    violation = error;
  } finally {
    await shared.stop();
  }
  if (violation === undefined && !options.keep) rmSync(directory, { recursive: true, force: true });
  return { tally, minutes: minutes(), operations: done(), violation, journal: journal.file, server: shared.name };
}
