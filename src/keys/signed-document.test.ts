import { generateKeyPairSync } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { failureOf } from './keyring.fixture.ts';
import { encodeFields } from './pae.ts';
import { documentLimits, isSignedBy, parseDocument, parsePayload, signDocument } from './signed-document.ts';

const clusterId = '01932d3c-4800-7a11-8b22-c33d44e55f66';
const { privateKey, publicKey } = generateKeyPairSync('ed25519');
const signer = { keyGeneration: 1, privateKey };
const genuine = signDocument('slot', clusterId, { a: 1 }, [signer]);

/** The document after a change to its JSON object, spelled as documents are. */
function changed(change: (document: Record<string, unknown>) => void): Buffer {
  const document = JSON.parse(genuine.toString()) as Record<string, unknown>;
  change(document);
  return Buffer.from(JSON.stringify(document));
}

describe('a signed document', () => {
  it('gives back any JSON that was signed, verified by its key and by no other', () => {
    const other = generateKeyPairSync('ed25519').publicKey;
    const text = fc.string({ unit: 'grapheme-ascii' });
    const payloads = fc.dictionary(text, fc.oneof(text, fc.constant('ü ✓ 東京 \ud83d\ude00 \ud800'), fc.double()));
    fc.assert(
      fc.property(payloads, (payload) => {
        const document = parseDocument(signDocument('manifest', clusterId, payload, [signer]), 'manifest');
        expect(JSON.stringify(parsePayload(document))).toBe(JSON.stringify(payload));
        expect(isSignedBy(document, 1, publicKey)).toBe(true);
        expect(isSignedBy(document, 2, publicKey)).toBe(false);
        expect(isSignedBy(document, 1, other)).toBe(false);
      }),
    );
  });

  it('verifies only as the type, version, cluster, generation and payload that were signed', () => {
    const document = parseDocument(genuine, 'slot');
    const variants = [
      { ...document, type: 'epoch' as const },
      { ...document, formatVersion: 2 },
      { ...document, clusterId: clusterId.replace('0', '1') },
      { ...document, payloadText: '{"a":2}' },
      { ...document, signatures: [{ ...document.signatures[0]!, keyGeneration: 2 }] },
    ];
    expect(isSignedBy(document, 1, publicKey)).toBe(true);
    for (const variant of variants) {
      expect(isSignedBy(variant, variant.signatures[0]!.keyGeneration, publicKey)).toBe(false);
    }
  });

  it.each([
    ['an unknown member', changed((document) => (document['extra'] = 1))],
    ['a missing member', changed((document) => delete document['clusterId'])],
    ['white space', Buffer.from(` ${genuine.toString()}`)],
    ['a line end', Buffer.from(`${genuine.toString()}\n`)],
    ['a byte order mark', Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), genuine])],
    ['a repeated member', Buffer.from(genuine.toString().replace('{', '{"type":"slot",'))],
    [
      'members in another order',
      changed((document) => {
        const { type } = document;
        delete document['type'];
        document['type'] = type;
      }),
    ],
    ['an escape where none is needed', Buffer.from(genuine.toString().replace('"slot"', '"\\u0073lot"'))],
    ['a lone surrogate', Buffer.from(genuine.toString().replace('{\\"a\\":1}', '\\ud800'))],
    ['bytes that are not UTF-8', Buffer.from(genuine.toString('latin1').replace('slot', 'sl\xfft'), 'latin1')],
    ['a cluster id in capitals', changed((document) => (document['clusterId'] = clusterId.toUpperCase()))],
    ['no signature', changed((document) => (document['signatures'] = []))],
    [
      'one signature twice',
      changed(
        (document) => (document['signatures'] = [0, 0].map((index) => (document['signatures'] as object[])[index])),
      ),
    ],
    [
      'a signature that is too short',
      changed((document) => (document['signatures'] = [{ keyGeneration: 1, signature: 'AAAA' }])),
    ],
    ['a payload that is not text', changed((document) => (document['payload'] = {}))],
    ['nothing', Buffer.alloc(0)],
    ['an array', Buffer.from('[]')],
    ['deep nesting', Buffer.from('['.repeat(10_000))],
    ['half of itself', genuine.subarray(0, genuine.length / 2)],
  ])('with %s is damaged', async (_, bytes) => {
    expect(await failureOf(() => parseDocument(bytes, 'slot'))).toMatchObject({ code: 'damaged' });
  });

  it('of another type is damaged and names both', async () => {
    const { message } = await failureOf(() => parseDocument(genuine, 'members'));
    expect(message).toBe('The members document is of type "slot".');
  });

  it('of a newer format is not compatible, whatever else it holds', async () => {
    const bytes = Buffer.from('{"formatVersion":2,"something":"new"}');
    expect(await failureOf(() => parseDocument(bytes, 'slot'))).toMatchObject({
      code: 'version-incompatible',
      message: 'The slot document has format version 2; this program knows 1.',
    });
  });

  it('beyond the limit of its type is not even parsed', async () => {
    const bytes = Buffer.alloc(documentLimits.slot + 1, 0x20);
    expect(await failureOf(() => parseDocument(bytes, 'slot'))).toMatchObject({
      code: 'damaged',
      message: 'The slot document has 16385 bytes, more than the limit of 16384.',
    });
  });
});

it('two different lists of fields never encode to the same bytes', () => {
  const fields = fc.array(fc.string({ maxLength: 4, unit: fc.constantFrom('1', ' ', 'a', '2') }), { maxLength: 4 });
  fc.assert(
    fc.property(fields, fields, (a, b) => {
      expect(encodeFields('x', a).equals(encodeFields('x', b))).toBe(JSON.stringify(a) === JSON.stringify(b));
    }),
    { numRuns: 1000 },
  );
  expect(encodeFields('label', ['ü', 12, Buffer.of(0)])).toEqual(Buffer.from('label 2 ü 2 12 1 \0'));
});
