import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { noFault, type Fault } from './faults.ts';
import type { SoakHost } from './hosts.ts';
import { requireExit, type World } from './world.ts';

/** A running manager must answer. Returns whether the host is enrolled now. */
export async function enrol(
  world: World,
  inviting: SoakHost,
  host: SoakHost,
  fault: Fault = noFault,
): Promise<boolean> {
  const invited = await world.run(inviting, ['node', 'invite'], { mayPrint: true });
  requireExit(invited, [0], 'node invite');
  const token = invited.document!['token'] as string;
  world.knownSecrets.add(token);
  const file = join(world.directory, `${host.name}.token`);
  writeFileSync(file, `${token}\n`, { mode: 0o600 });
  const enrolled = await world.run(host, ['node', 'enrol', '--token-file', file, '--wait', '120'], { fault });
  requireExit(enrolled, [0], 'node enrol');
  if (enrolled.exitCode !== 0) return false;
  host.standing = 'enrolled';
  return true;
}
