/** `npm run soak`: see docs/reliability.md. */
import { randomBytes } from 'node:crypto';
import { parseOptions } from './options.ts';
import { soak } from './run.ts';

const options = parseOptions(process.argv.slice(2), () => randomBytes(4).toString('hex'));
const say = (line: string): void => void process.stderr.write(`${line}\n`);
const { tally, minutes, operations, violation, journal, server } = await soak(options, say);

process.stdout.write(`${tally.lines().join('\n')}\n`);
const kills = tally.of('fault: SIGKILL') + tally.of('fault: PostgreSQL killed');
const amount =
  `${operations} operations in ${minutes.toFixed(1)} minutes on ${server}, seed ${options.seed}: ` +
  `${kills} kills, ${tally.of('fault: ')} faults, ${tally.of('restored and compared')} backups restored and compared`;
if (violation === undefined) process.stdout.write(`No violation in ${amount}\n`);
else {
  const { round, step } = violation;
  process.stdout.write(
    `VIOLATION after ${amount}\n${violation.message}\n\nJournal: ${journal}\n` +
      `Replay: npm run soak -- --seed ${options.seed} --round ${round} --operations-per-round ${options.operationsPerRound} --until ${step}\n`,
  );
  process.exitCode = 1;
}
