// Writes test/vectors/keys.json, all keys and nonces fixed: node tools/make-key-vectors.ts
// Only for a new format version: what is checked in must stay readable for ever.
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { fingerprintOf, privateKey, rawPublicKey } from '../src/keys/asymmetric-keys.ts';
import { encodeCredentialSecret } from '../src/keys/credential.ts';
import { deriveEpochKeys, type EpochKeys, rootKeyCommitment } from '../src/keys/epoch-keys.ts';
import { formatToken, joinRequestMacKey } from '../src/keys/join-token.ts';
import { newEpochDocument } from '../src/keys/new-documents.ts';
import { encodeFields } from '../src/keys/pae.ts';
import { sealColumn } from '../src/keys/sealed-column.ts';
import { signDocument } from '../src/keys/signed-document.ts';
import { aes256Gcm, sealBase, x25519PublicKey } from './reference-hpke.ts';

const place = fileURLToPath(new URL('../test/vectors/keys.json', import.meta.url));
const clusterId = '01932d3c-4800-7a11-8b22-c33d44e55f66';
const nodeId = '01932d3c-4801-7000-8000-000000000001';
const credentialId = '01932d3c-4802-7000-8000-000000000002';

/** 32 bytes that count up from `begin`. */
const counting = (begin: number): Buffer => Buffer.from(Array.from({ length: 32 }, (_, index) => begin + index));
const fixedNonce = Buffer.from('a0a1a2a3a4a5a6a7a8a9aaab', 'hex');
const randomness = { bytes: (length: number): Buffer => fixedNonce.subarray(0, length) };

const rootKey = counting(0x00);
const signingSeed = counting(0x20);
const nodePrivateKey = counting(0x40);
const ephemeralPrivateKey = counting(0x60);

function epochKeysVector(epoch: number): object {
  const keys = deriveEpochKeys(rootKey, clusterId, epoch);
  const hex = (name: Exclude<keyof EpochKeys, 'epoch'>): string => keys[name].toString('hex');
  return {
    rootKey: rootKey.toString('hex'),
    clusterId,
    epoch,
    chunkId: hex('chunkId'),
    cutter: hex('cutter'),
    chunk: hex('chunk'),
    manifest: hex('manifest'),
    column: hex('column'),
    signingKey: hex('signingKey'),
    commitment: rootKeyCommitment(rootKey, clusterId, epoch),
  };
}

function signatureVector(): object {
  const verifyKey = rawPublicKey('ed25519', signingSeed);
  const payload = { text: 'ü ✓ "quoted" \\ \u0001', list: [1, null] };
  const payloadText = JSON.stringify(payload);
  const signedBytes = encodeFields('enclave-manager/1/signature', ['marker', 1, clusterId, 3, payloadText]);
  const signer = { keyGeneration: 3, privateKey: privateKey('ed25519', signingSeed) };
  return {
    seed: signingSeed.toString('hex'),
    verifyKey: verifyKey.toString('hex'),
    fingerprint: fingerprintOf(verifyKey),
    type: 'marker',
    clusterId,
    keyGeneration: 3,
    payload: payloadText,
    signedBytes: signedBytes.toString('hex'),
    document: signDocument('marker', clusterId, payload, [signer]).toString('utf8'),
  };
}

function epochDocumentVector(): object {
  const createdAt = new Date('2026-11-22T00:00:00.000Z');
  const epoch = { clusterId, epoch: 1, keyGeneration: 1, rootKey, signingSeed, previous: null, createdAt };
  return {
    rootKey: rootKey.toString('hex'),
    signingSeed: signingSeed.toString('hex'),
    nonce: fixedNonce.toString('hex'),
    document: newEpochDocument(epoch, randomness).bytes.toString('utf8'),
  };
}

function slotVector(): object {
  const hardwareIdentity = 'software:00112233445566778899aabbccddeeff';
  const info = encodeFields('enclave-manager/1/slot', [clusterId, 2, nodeId, credentialId, hardwareIdentity]);
  const recipientPublicKey = x25519PublicKey(nodePrivateKey);
  const plaintext = rootKey;
  const associated = Buffer.alloc(0);
  const suite = aes256Gcm;
  const sealed = sealBase({ suite, ephemeralPrivateKey, recipientPublicKey, info, associated, plaintext });
  return {
    privateKey: nodePrivateKey.toString('hex'),
    publicKey: recipientPublicKey.toString('hex'),
    ephemeralPrivateKey: ephemeralPrivateKey.toString('hex'),
    binding: { clusterId, epoch: 2, nodeId, credentialId, hardwareIdentity },
    info: info.toString('hex'),
    encapsulatedKey: sealed.encapsulatedKey.toString('hex'),
    ciphertext: sealed.ciphertext.toString('hex'),
    rootKey: rootKey.toString('hex'),
  };
}

function credentialVector(): object {
  const clusterVerifyKey = rawPublicKey('ed25519', signingSeed);
  const secret = { privateKey: nodePrivateKey, clusterId, clusterVerifyKey, keyGeneration: 0x01020304 };
  return {
    privateKey: nodePrivateKey.toString('hex'),
    clusterId,
    clusterVerifyKey: clusterVerifyKey.toString('hex'),
    keyGeneration: secret.keyGeneration,
    bytes: encodeCredentialSecret(secret).toString('hex'),
  };
}

function sealedColumnVector(): object {
  const columnPlace = { table: 'ca_keys', column: 'private_key', key: credentialId };
  const plaintext = Buffer.from('a private key');
  const sealed = sealColumn(deriveEpochKeys(rootKey, clusterId, 2), columnPlace, plaintext, randomness);
  return {
    rootKey: rootKey.toString('hex'),
    clusterId,
    epoch: 2,
    place: columnPlace,
    nonce: fixedNonce.toString('hex'),
    plaintext: plaintext.toString('hex'),
    sealed: sealed.toString('hex'),
  };
}

function tokenVector(): object {
  const inviteId = '01932d3c-4803-4000-8000-000000000003';
  const secret = counting(0x80);
  const fingerprint = fingerprintOf(rawPublicKey('ed25519', signingSeed));
  return {
    inviteId,
    secret: secret.toString('hex'),
    fingerprint,
    token: formatToken({ inviteId, secret, fingerprint }),
    macKey: joinRequestMacKey(secret).toString('hex'),
  };
}

const vectors = {
  epochKeys: [epochKeysVector(1), epochKeysVector(4294967295)],
  signature: signatureVector(),
  epochDocument: epochDocumentVector(),
  slot: slotVector(),
  credential: credentialVector(),
  sealedColumn: sealedColumnVector(),
  token: tokenVector(),
};

writeFileSync(place, `${JSON.stringify(vectors, undefined, 2)}\n`);
