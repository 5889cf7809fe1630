/** `./cockroach` of the test's database image: CockroachDB's command line as far as the chart uses it, on PostgreSQL. */
import { parseFlags } from './flags.ts';
import { startServer } from './server.ts';
import { runShell } from './shell.ts';

const [command, ...parameters] = process.argv.slice(2);
if (command === 'start-single-node') process.exitCode = await startServer(parseFlags(parameters));
else if (command === 'sql') process.exitCode = await runShell(parseFlags(parameters), process.env);
else {
  process.stderr.write(`ERROR: this stand-in for CockroachDB knows start-single-node and sql, not ${command}\n`);
  process.exitCode = 1;
}
