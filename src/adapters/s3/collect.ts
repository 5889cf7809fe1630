import { Readable } from 'node:stream';
import { ReplyProblem } from './reply-problem.ts';

/** Reads a body whole; `ReplyProblem` when it has more than `maxBytes`, what the connection throws when it is cut or the signal comes. */
export async function collect(body: unknown, maxBytes: number, signal: AbortSignal): Promise<Buffer> {
  if (body === undefined || body === null) return Buffer.alloc(0);
  if (!(body instanceof Readable)) throw new ReplyProblem('strange', 'a reply has no readable body');
  const stop = (): void => void body.destroy(new DOMException('the reply took too long', 'TimeoutError'));
  if (signal.aborted) stop();
  signal.addEventListener('abort', stop, { once: true });
  try {
    const parts: Buffer[] = [];
    let bytes = 0;
    for await (const part of body) {
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- A stream without encoding gives buffers.
      const buffer = part as Buffer;
      bytes += buffer.length;
      if (bytes > maxBytes) throw new ReplyProblem('strange', `a reply has more than ${maxBytes} bytes`);
      parts.push(buffer);
    }
    return Buffer.concat(parts, bytes);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
