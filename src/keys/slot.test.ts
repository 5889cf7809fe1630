import { describe, expect, it } from 'vitest';
import { rawPublicKey } from './asymmetric-keys.ts';
import { failureOf } from './keyring.fixture.ts';
import { unwrapRootKey, wrapRootKey } from './slot.ts';

const binding = { clusterId: 'c', epoch: 1, nodeId: 'n', credentialId: 'd', hardwareIdentity: 'h' };
const privateKey = Buffer.alloc(32, 3);
const rootKey = Buffer.alloc(32, 5);

describe('a slot', () => {
  it('opens for its node and nobody else', async () => {
    const wrapped = await wrapRootKey(rootKey, rawPublicKey('x25519', privateKey), binding);
    expect([wrapped.encapsulatedKey.length, wrapped.ciphertext.length]).toEqual([32, 48]);
    expect(await unwrapRootKey(wrapped, privateKey, binding)).toEqual(rootKey);
    expect(await unwrapRootKey(wrapped, Buffer.alloc(32, 4), binding)).toBeUndefined();
  });

  it('opens for no other cluster, epoch, node, credential or hardware', async () => {
    const wrapped = await wrapRootKey(rootKey, rawPublicKey('x25519', privateKey), binding);
    for (const member of Object.keys(binding)) {
      const other = { ...binding, [member]: member === 'epoch' ? 2 : 'other' };
      expect(await unwrapRootKey(wrapped, privateKey, other)).toBeUndefined();
    }
  });

  it('with any byte altered opens nothing', async () => {
    const wrapped = await wrapRootKey(rootKey, rawPublicKey('x25519', privateKey), binding);
    for (const part of ['encapsulatedKey', 'ciphertext'] as const) {
      for (let position = 0; position < wrapped[part].length; position += 5) {
        const altered = Buffer.from(wrapped[part]);
        altered[position]! ^= 1;
        expect(await unwrapRootKey({ ...wrapped, [part]: altered }, privateKey, binding)).toBeUndefined();
      }
    }
    const empty = { encapsulatedKey: Buffer.alloc(0), ciphertext: Buffer.alloc(0) };
    expect(await unwrapRootKey(empty, privateKey, binding)).toBeUndefined();
  });

  it('is not made for a public key that is no key', async () => {
    for (const publicKey of [Buffer.alloc(32), Buffer.alloc(31, 1), Buffer.of(1, ...Buffer.alloc(31))]) {
      expect(await failureOf(() => wrapRootKey(rootKey, publicKey, binding))).toMatchObject({
        code: 'damaged',
        message: 'The public key of node n cannot be used.',
      });
    }
  });
});
