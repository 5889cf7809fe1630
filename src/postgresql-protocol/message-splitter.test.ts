import fc from 'fast-check';
import { expect, it } from 'vitest';
import { MessageSplitter } from './message-splitter.ts';

interface Message {
  readonly type: number;
  readonly body: string;
}

function encode({ type, body }: Message): Buffer {
  const bytes = Buffer.from(body, 'hex');
  const header = Buffer.alloc(5);
  header[0] = type;
  header.writeUInt32BE(bytes.length + 4, 1);
  return Buffer.concat([header, bytes]);
}

function collector(last: number): { messages: Message[]; splitter: MessageSplitter } {
  const messages: Message[] = [];
  const splitter = new MessageSplitter((type, buffer, begin, end) => {
    messages.push({ type, body: buffer.toString('hex', begin, end) });
    return type !== last;
  });
  return { messages, splitter };
}

const anyMessage = fc.record({
  type: fc.integer({ min: 0, max: 254 }),
  body: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes).toString('hex')),
});

it('finds the same messages wherever the reads end', () => {
  fc.assert(
    fc.property(
      fc.array(anyMessage, { maxLength: 20 }),
      fc.array(fc.integer({ min: 1, max: 97 }), { minLength: 1 }),
      (sent, cuts) => {
        const { messages, splitter } = collector(255);
        const stream = Buffer.concat(sent.map(encode));
        // The reader's buffer is used again for every read: what was kept must be a copy.
        const read = Buffer.alloc(97);
        for (let at = 0, turn = 0; at < stream.length; turn += 1) {
          const length = stream.copy(read, 0, at, at + cuts[turn % cuts.length]!);
          expect(splitter.feed(read.subarray(0, length))).toBe(length);
          at += length;
        }
        expect(messages).toEqual(sent);
      },
    ),
  );
});

it('leaves what follows the last message it wants, wherever the reads end', () => {
  const stream = Buffer.concat([
    encode({ type: 1, body: 'aa' }),
    encode({ type: 255, body: 'bb' }),
    Buffer.from('rest'),
  ]);
  for (let cut = 0; cut < stream.length; cut += 1) {
    const { messages, splitter } = collector(255);
    const parts = [stream.subarray(0, cut), stream.subarray(cut)];
    let taken = 0;
    for (const part of parts) {
      if (messages.at(-1)?.type !== 255) taken += splitter.feed(Buffer.from(part));
    }
    expect([messages.length, stream.length - taken]).toEqual([2, 4]);
  }
});

it.each([0, 3, 2 ** 30 + 1, 2 ** 32 - 1])('refuses a message that says it has %i bytes', (length) => {
  const header = Buffer.alloc(5);
  header.writeUInt32BE(length, 1);
  const { splitter } = collector(255);
  expect(() => splitter.feed(header)).toThrow(expect.objectContaining({ code: '08P01' }) as Error);
  const inPieces = collector(255).splitter;
  inPieces.feed(header.subarray(0, 2));
  expect(() => inPieces.feed(header.subarray(2))).toThrow(`${length} bytes`);
});
