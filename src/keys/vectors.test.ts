/** The checked-in vectors, against this code and, for the derivations, against RFC 5869 written out. */
import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { fingerprintOf, privateKey, publicKey, rawPublicKey } from './asymmetric-keys.ts';
import { decodeCredentialSecret, encodeCredentialSecret } from './credential.ts';
import { deriveEpochKeys, type EpochKeys, rootKeyCommitment } from './epoch-keys.ts';
import { formatToken, joinRequestMacKey, parseToken } from './join-token.ts';
import { newEpochDocument, openSigningKey } from './new-documents.ts';
import { encodeFields } from './pae.ts';
import { epochSchema } from './payloads.ts';
import { openColumn, sealColumn } from './sealed-column.ts';
import { isSignedBy, parseDocument, parsePayload, signDocument } from './signed-document.ts';
import { unwrapRootKey } from './slot.ts';

interface Vectors {
  epochKeys: (Record<Exclude<keyof EpochKeys, 'epoch'> | 'rootKey' | 'clusterId' | 'commitment', string> & {
    epoch: number;
  })[];
  signature: Record<
    'seed' | 'verifyKey' | 'fingerprint' | 'clusterId' | 'payload' | 'signedBytes' | 'document',
    string
  > & { type: 'marker'; keyGeneration: number };
  epochDocument: Record<'rootKey' | 'signingSeed' | 'nonce' | 'document', string>;
  slot: Record<'privateKey' | 'publicKey' | 'encapsulatedKey' | 'ciphertext' | 'rootKey' | 'info', string> & {
    binding: { clusterId: string; epoch: number; nodeId: string; credentialId: string; hardwareIdentity: string };
  };
  credential: Record<'privateKey' | 'clusterId' | 'clusterVerifyKey' | 'bytes', string> & { keyGeneration: number };
  sealedColumn: Record<'rootKey' | 'clusterId' | 'nonce' | 'plaintext' | 'sealed', string> & {
    epoch: number;
    place: { table: string; column: string; key: string };
  };
  token: Record<'inviteId' | 'secret' | 'fingerprint' | 'token' | 'macKey', string>;
}

const vectors = JSON.parse(readFileSync('test/vectors/keys.json', 'utf8')) as Vectors;
const hex = (text: string): Buffer => Buffer.from(text, 'hex');

/** RFC 5869 §2 for at most 32 bytes of output. */
function hkdf(secret: Buffer, salt: Buffer, info: Buffer | string, length: number): string {
  const prk = createHmac('sha256', salt).update(secret).digest();
  return createHmac('sha256', prk)
    .update(info)
    .update(Buffer.of(1))
    .digest('hex')
    .slice(0, length * 2);
}

describe('test/vectors/keys.json', () => {
  it('HKDF as written out here gives test case 1 of RFC 5869', () => {
    const okm = hkdf(hex('0b'.repeat(22)), hex('000102030405060708090a0b0c'), hex('f0f1f2f3f4f5f6f7f8f9'), 32);
    expect(okm).toBe('3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf');
  });

  it('epoch keys are HKDF-SHA256 of the root key', () => {
    const lengths = { chunkId: 32, cutter: 8, chunk: 32, manifest: 32, column: 32, signingKey: 32 } as const;
    const labels = { chunkId: 'chunk-id', signingKey: 'signing-key' } as Readonly<Record<string, string>>;
    for (const { rootKey, clusterId, epoch, ...expected } of vectors.epochKeys) {
      const keys = deriveEpochKeys(hex(rootKey), clusterId, epoch);
      const salt = hex(clusterId.replaceAll('-', ''));
      for (const [name, length] of Object.entries(lengths) as [keyof typeof lengths, number][]) {
        const info = `enclave-manager/1/${labels[name] ?? name}/${epoch}`;
        expect(expected[name]).toBe(hkdf(hex(rootKey), salt, info, length));
        expect(keys[name].toString('hex')).toBe(expected[name]);
      }
      expect(expected.commitment).toBe(hkdf(hex(rootKey), salt, `enclave-manager/1/commitment/${epoch}`, 32));
      expect(rootKeyCommitment(hex(rootKey), clusterId, epoch)).toBe(expected.commitment);
    }
  });

  it('a document is signed over its PAE', () => {
    const { seed, verifyKey, type, clusterId, keyGeneration, payload, ...expected } = vectors.signature;
    const signer = { keyGeneration, privateKey: privateKey('ed25519', hex(seed)) };
    const document = signDocument(type, clusterId, JSON.parse(payload) as object, [signer]);
    expect(document.toString()).toBe(expected.document);
    const parsed = parseDocument(document, type);
    expect(parsed.payloadText).toBe(payload);
    expect(isSignedBy(parsed, keyGeneration, publicKey('ed25519', hex(verifyKey)))).toBe(true);
    const fields = [type, 1, clusterId, keyGeneration, payload];
    expect(encodeFields('enclave-manager/1/signature', fields).toString('hex')).toBe(expected.signedBytes);
    expect(rawPublicKey('ed25519', hex(seed)).toString('hex')).toBe(verifyKey);
    expect(fingerprintOf(hex(verifyKey))).toBe(expected.fingerprint);
  });

  it('an epoch document holds its signing key, encrypted under the epoch', () => {
    const { rootKey, signingSeed, nonce, document } = vectors.epochDocument;
    const parsed = parseDocument(Buffer.from(document), 'epoch');
    const payload = epochSchema.parse(parsePayload(parsed));
    const made = newEpochDocument(
      {
        clusterId: parsed.clusterId,
        epoch: payload.epoch,
        keyGeneration: payload.keyGeneration,
        rootKey: hex(rootKey),
        signingSeed: hex(signingSeed),
        previous: null,
        createdAt: new Date(payload.createdAt),
      },
      { bytes: () => hex(nonce) },
    );
    expect(made.bytes.toString()).toBe(document);
    const keys = deriveEpochKeys(hex(rootKey), parsed.clusterId, payload.epoch);
    const opened = openSigningKey(keys, parsed.clusterId, payload);
    expect(opened?.equals(privateKey('ed25519', hex(signingSeed)))).toBe(true);
    expect(openSigningKey(keys, parsed.clusterId, { ...payload, epoch: 2 })).toBeUndefined();
    expect(openSigningKey(keys, parsed.clusterId, { ...payload, verifyKey: 'A'.repeat(43) })).toBeUndefined();
  });

  it('a slot opens to its root key', async () => {
    const { binding, info, ...slot } = vectors.slot;
    const wrapped = { encapsulatedKey: hex(slot.encapsulatedKey), ciphertext: hex(slot.ciphertext) };
    expect((await unwrapRootKey(wrapped, hex(slot.privateKey), binding))?.toString('hex')).toBe(slot.rootKey);
    expect(rawPublicKey('x25519', hex(slot.privateKey)).toString('hex')).toBe(slot.publicKey);
    expect(encodeFields('enclave-manager/1/slot', Object.values(binding)).toString('hex')).toBe(info);
  });

  it('a credential has its 85 bytes', () => {
    const { privateKey: key, clusterId, clusterVerifyKey, keyGeneration, bytes } = vectors.credential;
    const secret = { privateKey: hex(key), clusterId, clusterVerifyKey: hex(clusterVerifyKey), keyGeneration };
    expect(encodeCredentialSecret(secret).toString('hex')).toBe(bytes);
    expect(decodeCredentialSecret(hex(bytes))).toEqual(secret);
    expect(hex(bytes)).toHaveLength(85);
  });

  it('a sealed column is sealed and opened', () => {
    const { rootKey, clusterId, epoch, place, nonce, plaintext, sealed } = vectors.sealedColumn;
    const keys = deriveEpochKeys(hex(rootKey), clusterId, epoch);
    expect(sealColumn(keys, place, hex(plaintext), { bytes: () => hex(nonce) }).toString('hex')).toBe(sealed);
    expect(openColumn({ epochKeys: () => keys }, place, hex(sealed)).toString('hex')).toBe(plaintext);
  });

  it('a token is one word', () => {
    const { inviteId, secret, fingerprint, token, macKey } = vectors.token;
    expect(formatToken({ inviteId, secret: hex(secret), fingerprint })).toBe(token);
    expect(parseToken(token)).toEqual({ inviteId, secret: hex(secret), fingerprint });
    expect(joinRequestMacKey(hex(secret)).toString('hex')).toBe(macKey);
  });
});
