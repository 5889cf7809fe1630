import { PassThrough, Readable } from 'node:stream';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { collect } from './collect.ts';
import { ReplyProblem } from './reply-problem.ts';

type Handle = NodeHttpHandler['handle'];
type Reply = Awaited<ReturnType<Handle>>;

/** Listings of 1000 keys take up to 1.5 MB. */
const maxDocumentBytes = 8 * 1024 * 1024;

/**
 * Reads replies whole before the SDK sees them, because it takes a web page with status 200 for success and waits for ever
 * for a body that stops. Only an object's own bytes stay a stream: its reader knows how many there may be.
 */
export class CheckedHandler extends NodeHttpHandler {
  readonly #longestMs: number;

  constructor(options: NonNullable<ConstructorParameters<typeof NodeHttpHandler>[0]>, longestMs: number) {
    super(options);
    this.#longestMs = longestMs;
  }

  override async handle(...[request, options]: Parameters<Handle>): Promise<Reply> {
    const reply = await super.handle(request, options);
    const { response } = reply;
    const type = response.headers['content-type'] ?? '';
    if (response.statusCode < 300 && /^text\/html\b/i.test(type)) {
      destroy(response.body);
      throw new ReplyProblem('strange', `a web page (status ${response.statusCode}, ${type}) came instead of a reply`);
    }
    if (request.method === 'GET' && request.query['x-id'] === 'GetObject' && response.statusCode < 300) return reply;
    const read = await collect(response.body, maxDocumentBytes, AbortSignal.timeout(this.#longestMs));
    if (request.method !== 'HEAD') refuseCut(response.headers['content-length'], read);
    response.body = streamOf(read);
    return reply;
  }
}

function refuseCut(announced: string | undefined, read: Buffer): void {
  if (announced === undefined || Number(announced) === read.length) return;
  throw new ReplyProblem('strange', `a reply of ${announced} bytes was cut after ${read.length}`);
}

const streamOf = (bytes: Buffer): Readable => new PassThrough().end(bytes);

function destroy(body: unknown): void {
  if (body instanceof Readable) body.destroy();
}
