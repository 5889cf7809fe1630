import { Socket } from 'node:net';
import pg from 'pg';
import { describeOptions, type SessionOptions } from './connection-options.ts';
import { toDatabaseError, unreachable } from './database-errors.ts';
import { bulkLimits, clientConfig, connectSession, type Session } from './session.ts';

/** Gets the server's bytes while an exchange runs; valid during the call only. A promise stops the reading until it resolves. */
export type Receiver = (bytes: Buffer) => Promise<void> | undefined;

/**
 * A session of `pg` whose bytes can be diverted past its parser. `pg` signs in and runs the small statements; during a
 * COPY every byte goes to our own receiver, because one object per row is too slow.
 */
export interface WireConnection {
  readonly session: Session;
  readonly location: string;
  /** `failed` is called once when the connection ends, however it ends, while diverted. */
  divert(receive: Receiver, failed: (error: unknown) => void): void;
  /** Gives the bytes back to `pg`, beginning with `rest`. */
  restore(rest: Buffer): void;
  /** Resolves once the socket takes more. */
  write(...pieces: readonly Uint8Array[]): Promise<void>;
  destroy(): void;
  /** Says goodbye to the server, or in the middle of a copy ends the connection at once. */
  close(): Promise<void>;
}

const readBufferBytes = 256 * 1024;
/** Longer than any single statement of a backup or restore is silent. */
const silenceMs = 900_000;

export async function openWire(options: SessionOptions): Promise<WireConnection> {
  const route: Route = { deliver: undefined };
  const config = clientConfig(options, options.database, bulkLimits);
  const plain = options.tls === null ? () => readingSocket(route) : undefined;
  const client = new pg.Client({ ...config, ...(plain === undefined ? {} : { stream: plain }) });
  const location = describeOptions(options);
  const session = await connectSession(client, location);
  const stream = streamOf(client);
  return makeWire({ session, stream, location, route, owned: plain !== undefined });
}

/** Under TLS `pg` has replaced the socket it began with. */
function streamOf(client: object): Socket {
  const connection: unknown = 'connection' in client ? client.connection : undefined;
  const stream =
    typeof connection === 'object' && connection !== null && 'stream' in connection ? connection.stream : undefined;
  if (!(stream instanceof Socket)) throw new TypeError('this version of pg keeps its socket elsewhere');
  return stream;
}

/** Where bytes go: to our receiver, which answers whether reading may go on, or to `pg`. */
interface Route {
  deliver: ((bytes: Buffer) => boolean) | undefined;
}

/** A socket that reads into one buffer for its whole life. `pg` gets a copy, as it keeps what it gets. */
function readingSocket(route: Route): Socket {
  const socket: Socket = new Socket({
    onread: {
      buffer: Buffer.allocUnsafe(readBufferBytes),
      callback: (length, buffer) => {
        const bytes = Buffer.from(buffer.buffer, buffer.byteOffset, length);
        if (route.deliver !== undefined) return route.deliver(bytes);
        return socket.emit('data', Buffer.from(bytes));
      },
    },
  });
  return socket;
}

interface WireParts {
  readonly session: Session;
  readonly stream: Socket;
  readonly location: string;
  readonly route: Route;
  /** Whether the stream is our own reading socket; under TLS it is not. */
  readonly owned: boolean;
}

function makeWire({ session, stream, location, route, owned }: WireParts): WireConnection {
  let listeners: DataListener[] = [];
  let fail: ((error: unknown) => void) | undefined;
  const failWith = (error: unknown): void => fail?.(error);
  stream.on('close', () => failWith(unreachable(location, 'the connection ended in the middle of a copy')));
  stream.on('error', (error) => failWith(toDatabaseError(error, location)));
  stream.on('timeout', () => stream.destroy(Object.assign(new Error('the server is silent'), { code: 'ETIMEDOUT' })));
  return {
    session,
    location,
    divert: (receive, failed) => {
      fail = failed;
      route.deliver = (bytes) => deliver(stream, receive, bytes);
      stream.setTimeout(silenceMs);
      if (!owned) listeners = exchangeListeners(stream, [route.deliver]);
      if (stream.destroyed) failed(unreachable(location, 'the connection has ended'));
    },
    restore: (rest) => {
      fail = undefined;
      route.deliver = undefined;
      stream.setTimeout(0);
      if (!owned) exchangeListeners(stream, listeners);
      if (rest.length > 0) stream.emit('data', Buffer.from(rest));
    },
    write: async (...pieces) => {
      stream.cork();
      let more = true;
      for (const piece of pieces) more = stream.write(piece);
      stream.uncork();
      // A connection that ends is reported by `failed`; here it only ends the waiting.
      if (!more && !stream.destroyed) await drained(stream);
    },
    destroy: () => void stream.destroy(),
    close: async () => {
      if (fail === undefined) await session.close();
      else stream.destroy();
    },
  };
}

function drained(stream: Socket): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      stream.off('drain', done).off('close', done);
      resolve();
    };
    stream.once('drain', done).once('close', done);
  });
}

function deliver(stream: Socket, receive: Receiver, bytes: Buffer): boolean {
  const waiting = receive(bytes);
  if (waiting === undefined) return true;
  stream.pause();
  stream.setTimeout(0);
  const resume = (): void => {
    stream.setTimeout(silenceMs);
    stream.resume();
  };
  void waiting.then(resume, (error: unknown) =>
    stream.destroy(error instanceof Error ? error : new Error(String(error))),
  );
  return false;
}

type DataListener = (bytes: Buffer) => unknown;

function exchangeListeners(stream: Socket, next: readonly DataListener[]): DataListener[] {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- Node's types call every listener a Function.
  const before = stream.listeners('data') as DataListener[];
  stream.removeAllListeners('data');
  for (const listener of next) stream.on('data', listener);
  return before;
}
