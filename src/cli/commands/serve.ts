import type { StartReport } from '#operations/start-report.ts';
import { defineCommand } from '#cli/command.ts';
import { failuresOfOpening } from '#cli/failures.ts';
import { countSchema } from '#cli/schemas.ts';
import { startScreen } from '#cli/start-screen.ts';
import { statusSchema } from '#cli/status-schema.ts';

export const serve = defineCommand<StartReport>({
  noun: null,
  verb: 'serve',
  summary: 'run the manager: database, schedules, health endpoints (npm start)',
  description: `Opens the database, or starts the embedded one; creates the cluster where there is nothing yet; takes a first backup
and tries a restore of it; says what lies where and how safe that is; then stays up, takes backups, drills them and reads
them back by schedule, and answers /livez and /readyz.

Where the database is empty while backups exist nothing is created. With the embedded database it then exits 12 with the
commands that restore; with an external one it stays up, answers 503 on /readyz, and serves as soon as it is restored.

An export that was replayed into the database is compared with its backup, row for row, and then serves. While the replay is
incomplete, or where something differs, the manager stays up, and /readyz answers 503 and says why and what to do.

With ENCLAVE_MANAGER_WAIT=1 it also stays up, and says why on /readyz, while database, repository or sealing device do not
answer and while this host is not enrolled; as soon as they do and it is, it serves.

Stops cleanly on Ctrl-C and SIGTERM and then exits 0. With --json it prints one document when it is up.`,
  examples: [
    { command: 'enclave-manager serve', means: 'everything in ./data' },
    {
      command: 'ENCLAVE_MANAGER_DATABASE_URL=postgres://manager@db/malbork enclave-manager serve --sealing software',
      means: 'with a database server',
    },
  ],
  untilStopped: true,
  failures: failuresOfOpening.clusterOrImport,
  result: (z) =>
    z.object({
      outcome: z.enum(['created', 'adopted', 'opened']),
      address: z.string(),
      dataDirectory: z.string(),
      nodeName: z.string(),
      sealing: z.object({ provider: z.enum(['software', 'tpm2', 'sgx']), why: z.string() }),
      keyPlace: z.string(),
      embeddedDatabase: z.boolean(),
      drilled: z.object({ rows: countSchema(z), tables: countSchema(z) }).nullable(),
      status: statusSchema(z),
    }),
  run: async (environment) => {
    const { output } = environment;
    output.note('Starting; the first start also takes a backup and tries a restore of it.');
    let announced = false;
    await environment.serve((report) => {
      output.progress.end();
      if (!output.options.json) output.text(startScreen(report, output.style));
      else if (!announced) output.document(report);
      announced = true;
    });
    return {};
  },
  render: startScreen,
});
