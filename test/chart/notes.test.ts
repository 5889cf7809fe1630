import { execFileSync } from 'node:child_process';
import { beforeEach, describe, expect, it } from 'vitest';
import { chart, need, release, render, run, valuesFiles } from './helm.ts';

beforeEach((context) => need(context, 'helm'));

function notesWith(...options: string[]): string {
  const { exitCode, stdout, stderr } = run('helm', [
    'install',
    release,
    chart,
    '--namespace=enclaves',
    '--dry-run=client',
    ...options,
  ]);
  if (exitCode !== 0) throw new Error(stderr);
  return stdout.split('\nNOTES:\n')[1]!;
}

/** The commands of a kind that the notes show, with their continued lines. */
const commandsIn = (notes: string, beginning: string): string[] =>
  notes
    .replaceAll(/ \\\n\s+/g, ' ')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line.startsWith(beginning));

/** What a shell hands to the program. */
const wordsOf = (command: string): string[] =>
  execFileSync('bash', ['-c', `printf '%s\\0' ${command}`], { encoding: 'utf8' })
    .split('\0')
    .slice(0, -1);

describe('an upgrade that the notes show', () => {
  it.each(valuesFiles.map((path) => [path.split('/').at(-1)!, path] as const))(
    'of %s names every option, so that it makes the same again',
    (_, path) => {
      const upgrades = commandsIn(notesWith('--values', path), 'helm -n enclaves upgrade');
      const words = wordsOf(upgrades.find((command) => !command.includes('<'))!);
      expect(words.slice(0, 6)).toEqual(['helm', '-n', 'enclaves', 'upgrade', release, 'charts/enclave-manager']);
      // How many managers there are the notes choose by what is to be done.
      const more = ['--namespace=enclaves', '--set=enclaveos-chart.Manager.ReplicaCount=5'];
      const withoutSecrets = (options: readonly string[]) =>
        render([...options, ...more]).filter(({ kind }) => kind !== 'Secret');
      expect(withoutSecrets(words.slice(6))).toEqual(withoutSecrets(['--values', path]));
    },
  );
});

describe('the notes', () => {
  const [backup, insecure, stopped, external] = ['backup', 'insecure', 'stopped', 'external-database'].map((name) => [
    '--values',
    `${chart}/ci/${name}-values.yaml`,
  ]) as [string[], string[], string[], string[]];

  it('say that no backups are taken, and how to have them', () => {
    expect(notesWith(...insecure)).toMatch(
      /NO BACKUPS ARE TAKEN[^]*create secret generic enclave-manager-backup-credentials/,
    );
    expect(notesWith(...backup)).not.toContain('NO BACKUPS');
  });

  it('give the restore by hand with TLS, and without where the database is open', () => {
    const notes = notesWith(...backup);
    expect(notes).toContain(`kubectl -n enclaves cp backup.sql ${release}-enclaveos-cockroachdb-0:/cockroach\n`);
    expect(notes).toContain(`kubectl -n enclaves exec -it ${release}-enclaveos-cockroachdb-0 -- bash\n`);
    expect(notes).toContain('./cockroach sql -d malbork < backup.sql');
    expect(notesWith(...backup, '--set', 'enclaveos-chart.CockroachDB.Insecure=true')).toContain(
      './cockroach sql --insecure -d malbork < backup.sql',
    );
    expect(notesWith(...external)).not.toContain('./cockroach');
  });

  it('repeat how many managers there were', () => {
    const three = notesWith(...backup, '--set', 'enclaveos-chart.Manager.ReplicaCount=3');
    expect(commandsIn(three, 'helm -n enclaves upgrade').at(-1)).toContain('ReplicaCount=3');
    expect(notesWith(...stopped)).toMatch(/No manager runs[^]*helm -n enclaves upgrade/);
  });

  it('need no manager while none runs, and say that an open database has to be closed again', () => {
    const none = ['--set', 'enclaveos-chart.Manager.ReplicaCount=0'];
    const notes = notesWith(...backup, ...none, '--set', 'enclaveos-chart.CockroachDB.Insecure=true');
    expect(notes).not.toContain('exec -it deploy/');
    expect(notes).toContain('leave enclaveos-chart.CockroachDB.Insecure=true away');
    expect(notesWith(...backup, ...none)).not.toContain('Insecure');
  });

  it('invite hardware that was measured where there is a TPM', () => {
    const tpm = ['enclaveos-chart.Manager.Sealing=tpm2', 'enclaveos-chart.Manager.SoftwareKeySecretName='];
    const notes = notesWith(...backup, ...tpm.flatMap((value) => ['--set', value]));
    expect(notes).toMatch(/node measure\n.*node invite --hardware <hardware>\n/);
  });

  it('show jobs that render', () => {
    const jobs = commandsIn(notesWith(...backup), 'helm -n enclaves get values');
    expect(jobs).toHaveLength(4);
    for (const job of jobs) {
      const [, template = ''] = job.split(' | ');
      const words = wordsOf(template.replaceAll(/<[a-z ]+>/g, 'host-a').replace('charts/enclave-manager', chart));
      expect(words.slice(0, 5)).toEqual(['helm', '-n', 'enclaves', 'template', release]);
      const values = run('helm', [
        'template',
        release,
        ...words.slice(5).map((word) => (word === '-' ? backup[1]! : word)),
      ]);
      expect([values.exitCode, values.stderr, values.stdout]).toEqual([0, '', expect.stringContaining('kind: Job')]);
    }
  });
});
