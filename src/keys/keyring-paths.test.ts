import fc from 'fast-check';
import { expect, it } from 'vitest';
import { keyringPath, type KeyringPlace, parseKeyringPath } from './keyring-paths.ts';

const number = fc.integer({ min: 1, max: 0xffff_ffff });
const uuid = fc.uuid();

it('every keyring path is read back as the place it was made of', () => {
  const places: fc.Arbitrary<KeyringPlace> = fc.oneof(
    fc.record({ type: fc.constant('credential' as const), nodeId: uuid, credentialId: uuid }),
    fc.record({ type: fc.constant('members' as const), number }),
    fc.record({ type: fc.constant('epoch' as const), epoch: number }),
    fc.record({ type: fc.constant('slot' as const), epoch: number, nodeId: uuid, credentialId: uuid }),
  );
  fc.assert(
    fc.property(places, (place) => {
      expect(parseKeyringPath(keyringPath(place))).toEqual(place);
    }),
  );
});

it.each([
  '',
  'keyring',
  'keyring/members/0.json',
  'keyring/members/01.json',
  'keyring/members/4294967296.json',
  'keyring/members/1',
  'keyring/members/1.json.json',
  'keyring/members/1/epoch.json',
  'keyring/members/-1.json',
  'keyring/epochs/1/slot.json',
  'keyring/epochs/x/epoch.json',
  'keyring/nodes/a/b.json',
  'keyring//members/1.json',
  '/keyring/members/1.json',
  'other/members/1.json',
])('%j is no keyring path', (path) => {
  expect(parseKeyringPath(path)).toBeUndefined();
});
