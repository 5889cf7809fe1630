import { stateOf } from '../state.ts';
import { writes } from '../writes.ts';
import type { Operation } from './operation.ts';

/** The live database as its managers and their users change it; an acknowledged write is in the model from then on. */
export const writeRows: Operation = {
  name: 'write rows',
  weight: ({ model }) => (model.live === undefined ? 0 : 14),
  run: async (world, chance) => {
    const names = Array.from({ length: chance.integer(1, 4) }, () => chance.oneOf(Object.keys(writes)));
    const written = await world.withDatabase((database, keyring) =>
      database.transaction(async (queries) => {
        for (const name of names) await writes[name]!(queries, keyring, chance);
        return await stateOf(queries, keyring);
      }),
    );
    world.journal.note('written', { names });
    world.model.live = written;
    return {};
  },
};
