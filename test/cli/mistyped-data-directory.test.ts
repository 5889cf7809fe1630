import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { runCommand } from '../fixtures/command.ts';
import { temporaryDirectory } from '../fixtures/host.ts';

it.each(['status', 'node list', 'openability', 'backup create', 'restore rollback --yes'])(
  '%s names a data directory that is not there, and does not make it',
  async (command) => {
    const dataDirectory = join(temporaryDirectory(), 'mistyped');
    const { exitCode, stdout } = await runCommand([...command.split(' '), '--json'], { dataDirectory });
    expect(exitCode, stdout).toBe(14);
    expect(JSON.parse(stdout)).toMatchObject({
      error: { code: 'database-unreachable', message: expect.stringContaining(dataDirectory) },
    });
    expect(existsSync(dataDirectory)).toBe(false);
  },
);
