import type { Chance } from '../../../demo/contents/chance.ts';
import type { Expectation } from '../invariants.ts';
import type { World } from '../world.ts';

export interface Operation {
  readonly name: string;
  /** Why this machine cannot do it. */
  readonly unavailable?: string | undefined;
  /** How often it is drawn, against the others; 0: not now. */
  weight(world: World): number;
  /** Throws `Violation` where the program did not keep to its contract. */
  run(world: World, chance: Chance): Promise<Expectation>;
}
