import { parseArgs } from 'node:util';

const text = { type: 'string' } as const;

/** The flags of cockroach that the chart and its runbooks use. An unknown one throws, as cockroach refuses it. */
export function parseFlags(parameters: readonly string[]) {
  const { values } = parseArgs({
    args: [...parameters],
    options: {
      insecure: { type: 'boolean', default: false },
      'certs-dir': text,
      // Of the server.
      'advertise-host': text,
      'listen-addr': text,
      'http-addr': text,
      store: text,
      cache: text,
      'max-sql-memory': text,
      logtostderr: text,
      // Of the SQL shell.
      host: text,
      user: { ...text, short: 'u' },
      database: { ...text, short: 'd' },
      execute: { ...text, short: 'e', multiple: true },
      format: text,
    },
  });
  return values;
}

export type Flags = ReturnType<typeof parseFlags>;
