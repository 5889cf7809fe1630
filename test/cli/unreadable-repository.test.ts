import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { Scene, setStage, type Stage } from '../attacks/stage.ts';
import { makePlainFile } from '../fixtures/plain-file.ts';

let stage: Stage;
let file: string;

beforeAll(async () => {
  stage = await setStage();
  const plain = makePlainFile();
  file = plain.path;
  return plain.remove;
});

const scene = (): Scene => new Scene(stage, { database: stage.host.server.liveName });

describe('where the repository cannot be read', () => {
  it.each(['node list', 'keys status', 'restore cleanup --yes'])(
    '%s goes on with the keys in the database, and says so',
    async (command) => {
      const { exitCode, stderr: said } = await scene().run(...command.split(' '), '--repository', file);
      expect(exitCode, said).toBe(0);
      expect(said).toContain(`${file} cannot be a repository`);
      expect(said).toContain('The keys in the database are used.');
    },
  );

  it('restore rollback looks for what it could put back', async () => {
    const refusal = await scene().fail('restore', 'rollback', '--yes', '--repository', file);
    expect(refusal).toMatchObject({ exitCode: 3, code: 'not-found' });
  });

  it.each(['backup create', 'backup list', 'keys rotate --yes', 'backup prune --keep-last 1 --yes'])(
    '%s, which needs it, ends with 10',
    async (command) => {
      const refusal = await scene().fail(...command.split(' '), '--repository', file);
      expect(refusal).toMatchObject({ exitCode: 10, code: 'configuration' });
      expect(refusal.message).toContain(`${file} cannot be a repository`);
    },
  );

  it('the database is still held to the cluster key that this host remembers', async () => {
    const remembering = scene();
    const state = join(remembering.dataDirectory, 'state', 'node.json');
    const remembered = JSON.parse(readFileSync(state, 'utf8')) as object;
    writeFileSync(state, JSON.stringify({ ...remembered, clusterKey: `sha256:${'A'.repeat(43)}` }));
    const refused = await remembering.fail('node', 'list', '--repository', file);
    expect(refused).toMatchObject({ exitCode: 20, code: 'forged' });
  });
});
