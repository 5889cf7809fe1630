import { errorCodes } from '#errors/codes.ts';
import type { Stage } from '../stage.ts';
import type { TakenBackup } from './back-up.ts';

export async function refuseStranger({ narrator, stranger }: Stage, newest: TakenBackup): Promise<void> {
  narrator.scene('Refusal on a host that was never enrolled');
  await stranger.sealing.provision();
  narrator.say('A stranger has the whole repository, the recovery line, and a host with a key of its own.');
  const words = ['restore', 'run', 'latest', '--yes', '--cluster-key', newest.clusterKey];
  narrator.command(stranger.name, words.join(' '));
  const { exitCode, stderr } = await stranger.run(words);
  narrator.output(`${stderr}exit code ${exitCode}`);
  if (exitCode !== errorCodes['no-key'].exitCode) {
    throw new Error(`the stranger was not refused for lack of a key: exit code ${exitCode}`);
  }
  narrator.say(
    `Nothing was restored: that takes the key of an enrolled host. Here it is a file, which can be copied, so it is for
    development only; hardware does not let its key out.`,
  );
}
