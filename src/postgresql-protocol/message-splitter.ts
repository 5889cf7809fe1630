import { headerBytes } from './wire-messages.ts';

/** PostgreSQL allocates no more for one value or row, and we no more for one message. */
const longestMessageBytes = 1 << 30;

/**
 * Gets each whole message: its body is `buffer[begin, end)`, valid during the call only. Answers `false` after the last
 * message it wants.
 */
export type MessageHandler = (type: number, buffer: Buffer, begin: number, end: number) => boolean;

/**
 * Cuts a stream of bytes into messages. A message that lies within one read is passed on in place; only one that
 * arrives in pieces is copied together, into one buffer that is used again.
 */
export class MessageSplitter {
  readonly #handle: MessageHandler;
  #pending = Buffer.allocUnsafe(64 * 1024);
  #pendingBytes = 0;

  constructor(handle: MessageHandler) {
    this.#handle = handle;
  }

  /** Returns how many bytes of `chunk` were taken: all, or those up to the last message the handler wanted. */
  feed(chunk: Buffer): number {
    let at = 0;
    if (this.#pendingBytes > 0) {
      at = this.#continue(chunk);
      if (this.#pendingBytes > 0) return at;
      const [type, end] = [this.#pending[0]!, messageEnd(this.#pending, 0)];
      if (!this.#handle(type, this.#pending, headerBytes, end)) return at;
    }
    while (chunk.length - at >= headerBytes) {
      const end = messageEnd(chunk, at);
      if (end > chunk.length) break;
      const begin = at;
      at = end;
      if (!this.#handle(chunk[begin]!, chunk, begin + headerBytes, end)) return at;
    }
    this.#keep(chunk, at, chunk.length);
    return chunk.length;
  }

  /** Adds what is missing of the message in pieces; once it is whole, nothing is pending. */
  #continue(chunk: Buffer): number {
    let at = 0;
    if (this.#pendingBytes < headerBytes) {
      at = Math.min(headerBytes - this.#pendingBytes, chunk.length);
      this.#keep(chunk, 0, at);
      if (this.#pendingBytes < headerBytes) return at;
    }
    const missing = messageEnd(this.#pending, 0) - this.#pendingBytes;
    const next = Math.min(at + missing, chunk.length);
    this.#keep(chunk, at, next);
    if (next - at === missing) this.#pendingBytes = 0;
    return next;
  }

  #keep(chunk: Buffer, begin: number, end: number): void {
    const wanted = this.#pendingBytes + end - begin;
    if (wanted > this.#pending.length) {
      const larger = Buffer.allocUnsafe(Math.max(wanted, 2 * this.#pending.length));
      this.#pending.copy(larger, 0, 0, this.#pendingBytes);
      this.#pending = larger;
    }
    chunk.copy(this.#pending, this.#pendingBytes, begin, end);
    this.#pendingBytes = wanted;
  }
}

function messageEnd(buffer: Buffer, begin: number): number {
  const length = buffer.readUInt32BE(begin + 1);
  if (length < 4 || length > longestMessageBytes) {
    throw Object.assign(new Error(`the server sent a message of ${length} bytes`), { code: '08P01' });
  }
  return begin + 1 + length;
}
