import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { manifestPath } from '#format/layout.ts';
import { Scene, setStage, type Stage } from '../attacks/stage.ts';
import { makePlainFile } from '../fixtures/plain-file.ts';
import { cephServer, cephUnavailable } from '../fixtures/object-storage/ceph.ts';
import { environmentFor } from '../fixtures/object-storage/environment.ts';
import { freshBucket } from '../fixtures/object-storage/buckets.ts';

let stage: Stage;
let file: string;

beforeAll(async () => {
  stage = await setStage();
  const plain = makePlainFile();
  file = plain.path;
  return plain.remove;
});

const scene = (): Scene => new Scene(stage, { database: stage.host.server.liveName });
const words = (text: string): string => text.replaceAll(/\s+/g, ' ');

const cannotBe = (): string => `${file} cannot be a repository: there, or on the way there, is a file (ENOTDIR)`;
const nameOne = 'Name a directory: ENCLAVE_MANAGER_REPOSITORY.';

/** What status says where nothing is known of the backups. */
const nothingKnown = {
  healthy: false,
  lastBackup: null,
  lastDrill: null,
  backups: null,
  highestSequence: null,
  newestStartedAt: null,
  inGrace: null,
  openers: null,
};

describe('where the repository cannot be read', () => {
  it('status says that it is unknown, because of what, and the way out', async () => {
    const { exitCode, stdout } = await scene().run('status', '--repository', file);
    expect(exitCode).toBe(1);
    for (const line of [
      `Last backup   unknown, because ${cannotBe()}`,
      'Last drill    unknown',
      'Opened by     unknown',
      `Backups       unknown, in file://${file}`,
      'Next reading  unknown',
    ])
      expect(stdout.split('\n')).toContain(line);
    const problem = `Problem: whether a backup could be restored is unknown, because ${cannotBe()}. ${nameOne}`;
    expect(words(stdout)).toContain(problem);
    expect(stdout).not.toMatch(/none: no restore|no host|0 backups|none yet|Take one/);
  });

  it('status says the same in JSON, with null for what is unknown, and the warning beside it', async () => {
    const { exitCode, stdout, stderr } = await scene().run('status', '--json', '--repository', file);
    const status = JSON.parse(stdout) as Record<string, unknown> & { findings: readonly object[] };
    const unknown = { code: 'configuration', message: cannotBe(), hint: nameOne };
    expect({ exitCode, ...status }).toMatchObject({ exitCode: 1, ...nothingKnown, unknown });
    expect(status.findings[0]).toEqual({
      severity: 'problem',
      code: 'repository-unreachable',
      message: `whether a backup could be restored is unknown, because ${cannotBe()}`,
      hint: nameOne,
    });
    expect(stderr).toBe(`warning: ${cannotBe()}. The keys in the database are used.\n`);
    expect((await scene().run('status', '--json', '--quiet', '--repository', file)).stderr).toBe('');
  });

  it.each([
    ['openability', 'which hosts open which backups is'],
    ['restore plan latest', 'what a restore would do is'],
    ['backup list', 'which backups there are is'],
  ])('%s ends with 10 and says what is unknown', async (command, question) => {
    const message = `${question} unknown, because ${cannotBe()}`;
    const refusal = await scene().fail(...command.split(' '), '--repository', file);
    expect(refusal).toEqual({ exitCode: 10, code: 'configuration', message, hint: nameOne });
    const { exitCode, stdout, stderr } = await scene().run(...command.split(' '), '--repository', file);
    expect({ exitCode, stdout }).toEqual({ exitCode: 10, stdout: '' });
    expect(stderr).toContain(`Error: ${message}\n${nameOne}\n`);
  });

  it('node list says that the last proofs may be unknown', async () => {
    const { exitCode, stdout, stderr } = await scene().run('node', 'list', '--json', '--repository', file);
    expect(exitCode).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject([{ name: 'host-a', lastProofAt: 'unknown' }]);
    expect(stderr).toContain(`when hosts proved themselves last may be unknown, because ${cannotBe()}`);
  });

  it('names wrong credentials of a bucket', async (test) => {
    if (cephUnavailable !== undefined) test.skip(cephUnavailable);
    const env = { ...environmentFor(await freshBucket(await cephServer())), AWS_ACCESS_KEY_ID: 'nobody' };
    const status = await scene().runWith(env, 'status', '--json');
    expect({ exitCode: status.exitCode, ...(JSON.parse(status.stdout) as object) }).toMatchObject({
      exitCode: 1,
      ...nothingKnown,
      unknown: { code: 'repository-unreachable', message: expect.stringContaining('InvalidAccessKeyId') },
    });
    const openability = await scene().runWith(env, 'openability');
    expect(openability.exitCode).toBe(11);
    expect(openability.stderr).toMatch(
      /Error: which hosts open which backups is unknown, because .*InvalidAccessKeyId/,
    );
  });
});

describe('where no repository is set', () => {
  it('status says that it is unknown, and openability, plan and list end with 10', async () => {
    const none = 'this manager runs without a repository (ENCLAVE_MANAGER_REPOSITORY=none)';
    const { exitCode, stdout } = await scene().run('status', '--repository', 'none');
    expect(exitCode).toBe(1);
    expect(stdout).toContain(`Last backup   unknown, because ${none}\n`);
    expect(stdout).toContain('Backups       unknown, in no repository\n');
    expect(stdout).not.toMatch(/no restore was ever tried|no host/);
    const json = await scene().run('status', '--json', '--repository', 'none');
    expect(JSON.parse(json.stdout)).toMatchObject({
      ...nothingKnown,
      unknown: { code: 'configuration', message: none },
    });
    for (const command of ['openability', 'restore plan', 'backup list']) {
      const { code, exitCode: ended, message } = await scene().fail(...command.split(' '), '--repository', 'none');
      expect({ code, ended }).toEqual({ code: 'configuration', ended: 10 });
      expect(message).toContain('is unknown, because ');
    }
  });
});

function withoutKey({ remembers = true }: { readonly remembers?: boolean } = {}): Scene {
  const without = scene();
  rmSync(join(without.dataDirectory, 'keys'), { recursive: true });
  if (!remembers) rmSync(join(without.dataDirectory, 'state'), { recursive: true });
  return without;
}

describe('where the key of this host cannot be used', () => {
  it.each([
    ['status', 'whether a backup could be restored is'],
    ['openability', 'which hosts open which backups is'],
  ])('%s ends with 15 where it did not answer, with 21 where it opens nothing', async (command, question) => {
    const lost = await withoutKey().fail(command);
    expect(lost).toMatchObject({
      exitCode: 15,
      code: 'sealing-unavailable',
      hint: expect.stringMatching(/^Put the key file back/),
    });
    expect(lost.message).toMatch(new RegExp(`^${question} unknown, because the host key .* does not exist$`));
    const stranger = await withoutKey({ remembers: false }).fail(command);
    expect(stranger).toMatchObject({ exitCode: 21, code: 'no-key', hint: expect.stringMatching(/node enrol/) });
    expect(stranger.message).toMatch(new RegExp(`^${question} unknown, because no key on this host opens`));
  });

  it('the plan of a restore proves nothing, and claims neither "never" nor that backups are hidden', async () => {
    const host = withoutKey();
    const key = join(host.dataDirectory, 'keys', 'host.key');
    const { exitCode, stdout } = await host.run('restore', 'plan', 'latest');
    expect(exitCode).toBe(0);
    for (const line of [
      `Authentic    unknown, because the host key ${key} does not exist`,
      'Cluster key  unknown',
      'Read back    unknown; it is read first',
      'Opens on     host-a, by documents that nothing here proves; this host: unknown',
    ])
      expect(stdout.split('\n')).toContain(line);
    expect(stdout).toContain(
      `  - Whether this host opens it is unknown, because the host key ${key} does not exist. Put`,
    );
    expect(stdout).not.toContain('deleted or hidden');

    const { document } = await host.succeed('restore', 'plan', 'latest');
    expect(document).toMatchObject({
      backup: { id: stage.newest.id, authentic: 'unknown', verified: null, lastDrill: null, openableBy: [] },
      unknown: { code: 'sealing-unavailable', message: `The host key ${key} does not exist` },
      clusterKey: null,
      openableHere: null,
      obstacles: [expect.stringContaining('Whether this host opens it is unknown')],
    });
    const stranger = await withoutKey({ remembers: false }).succeed('restore', 'plan', 'latest');
    expect(stranger.document).toMatchObject({ unknown: { code: 'no-key' }, openableHere: false });
  });

  it('a plan still says that backups are hidden where fewer are listed than this host has seen', async () => {
    const host = withoutKey();
    host.remove(manifestPath(stage.newest.id));
    const { document } = await host.succeed('restore', 'plan');
    expect(document).toMatchObject({
      obstacles: [
        expect.stringContaining('is unknown'),
        'This host has seen sequence 2; the newest here is 1: newer backups were deleted or hidden.',
      ],
    });
  });

  it('a list says that nothing in it is proved, why, and the way out', async () => {
    const host = withoutKey();
    const { exitCode, stdout, stderr } = await host.run('backup', 'list');
    expect(exitCode).toBe(0);
    expect(stdout.match(/manual .* unknown +unknown +unknown +unknown$/gm)).toHaveLength(2);
    expect(stderr).toMatch(
      /^Warning: whether anything below is authentic is unknown, because the host key .* does not exist\. Put the key file back/,
    );
  });
});

describe('where every backup was taken away or made unreadable', () => {
  it('nobody says that there is none and one should be taken', async () => {
    const host = scene();
    host.remove(manifestPath(stage.newest.id), manifestPath(stage.older.id));
    const { exitCode, stdout, stderr } = await host.run('backup', 'list');
    expect({ exitCode, stdout }).toEqual({
      exitCode: 0,
      stdout: 'Whether there is a backup is unknown: see the warnings.\n',
    });
    expect(stderr).toMatch(/^Warning: there is no backup in .*, but sequence 2 existed: all were deleted or hidden\n$/);
    const openability = await host.run('openability');
    expect(openability.exitCode).toBe(1);
    expect(openability.stdout).toContain(
      'Which hosts open the backups is unknown: none of them is there to be read.\n',
    );
    expect(words(openability.stdout)).toContain('sequence 2 existed: all were deleted or hidden');
    const status = await host.run('status');
    expect(status.exitCode).toBe(1);
    expect(status.stdout).toContain('Last backup   unknown, because all backups were deleted or hidden\n');
    expect(words(status.stdout)).toContain('the newest in the repository is 0: newer backups were deleted or hidden');
    expect(status.stdout).not.toContain('Take one');

    for (const { id } of [stage.newest, stage.older]) host.plant(manifestPath(id), Buffer.from('{"made":"up"}'));
    const json = await host.run('openability', '--json');
    expect(JSON.parse(json.stdout)).toMatchObject({
      backups: [],
      warnings: [
        { code: 'backups-hidden' },
        { code: 'manifest-rejected', message: expect.stringMatching(/^2 objects lie where backups do/) },
        {},
      ],
    });
    expect((await host.fail('backup', 'show', 'latest')).message).toBe(
      'no backup here can be read and was signed by this cluster',
    );
    host.expectPlanted();
  });
});
