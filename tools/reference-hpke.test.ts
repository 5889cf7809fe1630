import { expect, it } from 'vitest';
import { unwrapRootKey } from '../src/keys/slot.ts';
import { encodeFields } from '../src/keys/pae.ts';
import { aes128Gcm, aes256Gcm, sealBase, x25519PublicKey } from './reference-hpke.ts';

const hex = (text: string): Buffer => Buffer.from(text, 'hex');

it('the reference seals the vector of RFC 9180 appendix A.1.1', () => {
  const sealed = sealBase({
    suite: aes128Gcm,
    ephemeralPrivateKey: hex('52c4a758a802cd8b936eceea314432798d5baf2d7e9235dc084ab1b9cfa2f736'),
    recipientPublicKey: hex('3948cfe0ad1ddb695d780e59077195da6c56506b027329794ab02bca80815c4d'),
    info: hex('4f6465206f6e2061204772656369616e2055726e'),
    associated: hex('436f756e742d30'),
    plaintext: hex('4265617574792069732074727574682c20747275746820626561757479'),
  });
  expect(sealed.encapsulatedKey.toString('hex')).toBe(
    '37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431',
  );
  expect(sealed.ciphertext.toString('hex')).toBe(
    'f938558b5d72f1a23810b4be2ab4f84331acc02fc97babc53a52ae8218a355a96d8770ac83d07bea87e13c512a',
  );
});

it('what the reference seals with AES-256-GCM opens as a slot', async () => {
  const privateKey = Buffer.alloc(32, 7);
  const binding = { clusterId: 'cluster', epoch: 1, nodeId: 'node', credentialId: 'credential', hardwareIdentity: 'x' };
  const sealed = sealBase({
    suite: aes256Gcm,
    ephemeralPrivateKey: Buffer.alloc(32, 9),
    recipientPublicKey: x25519PublicKey(privateKey),
    info: encodeFields('enclave-manager/1/slot', ['cluster', 1, 'node', 'credential', 'x']),
    associated: Buffer.alloc(0),
    plaintext: Buffer.alloc(32, 5),
  });
  expect(await unwrapRootKey(sealed, privateKey, binding)).toEqual(Buffer.alloc(32, 5));
  expect(await unwrapRootKey(sealed, privateKey, { ...binding, epoch: 2 })).toBeUndefined();
});
