import { hardwareTargets } from './hardware-targets.ts';
import { keyringTargets } from './keyring-targets.ts';
import { fileTargets, protocolTargets } from './outside-targets.ts';
import { repositoryTargets } from './repository-targets.ts';
import type { Target } from './target.ts';
import { textTargets } from './text-targets.ts';

/** Every parser of foreign bytes in the product. Where a signature stands before a schema, the input is signed with the genuine key. */
export async function allTargets(): Promise<readonly Target[]> {
  return [
    ...(await repositoryTargets()),
    ...(await keyringTargets()),
    ...textTargets(),
    ...protocolTargets(),
    ...fileTargets(),
    ...hardwareTargets(),
  ];
}
