import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openLocalState } from '#adapters/data-directory/local-state.ts';
import { readPostmasterFile } from '#adapters/embedded-postgresql/postmaster-file.ts';
import { MessageSplitter } from '#postgresql-protocol/message-splitter.ts';
import { copiedRows, queryMessage, serverError } from '#postgresql-protocol/wire-messages.ts';
import { readHostKey } from '#adapters/software/host-key-file.ts';
import { temporaryDirectory } from '../fixtures/host.ts';
import { type Target, json } from './target.ts';

/** What a database server sends. */
export function protocolTargets(): Target[] {
  const message = (type: string, body: string): Buffer => {
    const bytes = queryMessage(body);
    bytes[0] = type.charCodeAt(0);
    return bytes;
  };
  const stream = Buffer.concat([
    message('H', 'abc'),
    message('d', '1\tone\n'),
    message('d', '2\t\\N\n'),
    message('c', ''),
    message('C', 'COPY 2'),
  ]);
  const failure = message('E', 'SERROR\0C42P01\0Mrelation does not exist\0');
  return [
    {
      name: 'copy-messages',
      seeds: [stream, Buffer.concat([failure, message('Z', 'I')])],
      json: false,
      codes: [],
      read: readMessages,
    },
  ];
}

/** In pieces of every size, as a network cuts them; the splitter must come to the same messages. */
function readMessages(input: Buffer): unknown {
  const whole = messagesOf(input, input.length + 1);
  for (const pieceBytes of [1, 3, 7, 64]) {
    const pieces = messagesOf(input, pieceBytes);
    if (JSON.stringify(pieces) !== JSON.stringify(whole))
      throw new Error(`pieces of ${pieceBytes} bytes are read otherwise`);
  }
  return whole;
}

function messagesOf(input: Buffer, pieceBytes: number): unknown[] {
  const messages: unknown[] = [];
  const splitter = new MessageSplitter((type, buffer, begin, end) => {
    const body = Buffer.from(buffer.subarray(begin, end));
    messages.push([type, body.toString('hex'), copiedRows(body), serverError(body).message]);
    return true;
  });
  try {
    for (let at = 0; at < input.length; at += pieceBytes)
      splitter.feed(Buffer.from(input.subarray(at, at + pieceBytes)));
  } catch (error) {
    if ((error as { code?: unknown }).code !== '08P01') throw error;
    messages.push('protocol violation');
  }
  return messages;
}

/** What lies on the host's own disk. */
export function fileTargets(): Target[] {
  const directory = temporaryDirectory();
  const state = {
    clusterId: '01900000-0000-7000-8000-000000000001',
    nodeId: '01900000-0000-7000-8000-000000000002',
    credentialId: '01900000-0000-7000-8000-000000000003',
    sealingProvider: 'software',
    clusterKey: 'sha256:abc',
    highestSequence: 7,
  };
  const write = (name: string, bytes: Buffer): string => {
    const path = join(directory, name);
    mkdirSync(join(directory, 'state'), { recursive: true });
    rmSync(path, { force: true });
    writeFileSync(path, bytes, { mode: 0o600 });
    return path;
  };
  return [
    {
      name: 'host-key-file',
      seeds: [Buffer.alloc(32, 7)],
      json: false,
      codes: ['sealing-unavailable'],
      read: (input) => readHostKey(write('host.key', input)),
    },
    {
      name: 'local-state-file',
      seeds: [json(state)],
      json: true,
      codes: ['damaged'],
      read: (input) => {
        write('state/node.json', input);
        return openLocalState(directory).read();
      },
    },
    {
      name: 'postmaster-file',
      seeds: [Buffer.from('4711\n/data\n1764000000\n5432\n/tmp/sockets\n\n  1234 5\nready   \n')],
      json: false,
      codes: [],
      read: (input) => {
        write('postmaster.pid', input);
        return readPostmasterFile(directory);
      },
    },
  ];
}
