import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { z } from 'zod';
import { makeCluster } from '../fixtures/cluster.ts';
import { runJson, startCommand } from '../fixtures/command.ts';
import { temporaryDirectory, type TestHost } from '../fixtures/host.ts';
import { commandOn } from '../fixtures/host-command.ts';
import { enrolHosts } from '../fixtures/hosts.ts';

const commands = ['enclave-manager node invite', 'enclave-manager node enrol --token-file -'];

it(
  'a manager that waits stays up when its host is evicted, shows what enrols it, and serves again once it is enrolled',
  { timeout: 240_000 },
  async () => {
    const { host } = await makeCluster();
    const [second] = (await enrolHosts(host, ['host-b'])) as [TestHost];
    const [onFirst, onSecond] = [await commandOn(host), await commandOn(second)];
    const serving = startCommand(['serve'], onFirst);
    const waiting = startCommand(['serve'], { ...onSecond, env: { ...onSecond.env, ENCLAVE_MANAGER_WAIT: '1' } });
    for (const { child } of [serving, waiting]) onTestFinished(() => void child.kill('SIGKILL'));
    await serving.saw(/Stop with Ctrl-C/);
    const [, address] = await waiting.saw(/it is up at (http:\S+)[^]*Stop with Ctrl-C/);
    const readiness = async () => await (await fetch(`${address}/readyz`)).json();

    await runJson(['node', 'evict', 'host-b', '--yes'], onFirst);
    await expect.poll(readiness, { timeout: 60_000 }).toMatchObject({ ready: false, commands });

    const { token } = z.object({ token: z.string() }).parse(await runJson(['node', 'invite'], onFirst));
    const tokenFile = join(temporaryDirectory(), 'token');
    writeFileSync(tokenFile, token);
    await runJson(['node', 'enrol', '--token-file', tokenFile], onSecond);
    await expect.poll(readiness, { timeout: 60_000 }).toMatchObject({ ready: true });
    waiting.child.kill('SIGTERM');
    expect((await waiting.ended).exitCode).toBe(0);
  },
);
