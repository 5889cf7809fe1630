import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const demo = join(import.meta.dirname, '../../demo/main.ts');
const timeoutMs = 600_000;

let directory: string;

beforeEach(() => {
  directory = realpathSync(mkdtempSync(join(tmpdir(), 'em-demo-')));
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

function startDemo() {
  const child = spawn(process.execPath, [demo], { env: { ...process.env, TMPDIR: directory } });
  return { child, exited: once(child, 'exit'), stdout: text(child.stdout), stderr: text(child.stderr) };
}

describe('the demo', () => {
  it('tells the whole story, finds every row the same and leaves nothing behind', { timeout: timeoutMs }, async () => {
    const { exited, stdout, stderr } = startDemo();
    const [status, told] = [await exited, await stdout];

    expect({ status, stderr: await stderr }).toEqual({ status: [0, null], stderr: '' });
    expect(told).toMatch(/16 tables, [\d,]+ rows: all the same\./);
    expect(told).not.toContain('DIFFERENT');
    expect(told).toContain('Enrolled west-2 into cluster');
    expect(told).toContain('exit code 21');
    expect(told).toMatch(/events, all as recorded/);
    expect(told.split('\n').filter((line) => line.length > 80)).toEqual([]);
    expect(readdirSync(directory)).toEqual([]);
  });

  it('ends on SIGINT with everything stopped and removed', { timeout: timeoutMs }, async () => {
    const { child, exited, stdout } = startDemo();
    child.stdout.on('data', (chunk) => {
      if (String(chunk).includes('A year of work')) child.kill('SIGINT');
    });

    expect(await exited).toEqual([130, null]);
    expect(await stdout).not.toContain('A full backup');
    expect(readdirSync(directory)).toEqual([]);
  });
});
