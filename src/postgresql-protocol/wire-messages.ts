/**
 * The part of PostgreSQL's protocol that COPY needs (documentation, chapter "Frontend/Backend Protocol", "Message
 * Formats"): a type byte, an int32 length that counts itself, the body.
 */
export const messageTypes = {
  copyData: 0x64,
  copyDone: 0x63,
  copyInResponse: 0x47,
  copyOutResponse: 0x48,
  commandComplete: 0x43,
  errorResponse: 0x45,
  noticeResponse: 0x4e,
  notificationResponse: 0x41,
  parameterStatus: 0x53,
  readyForQuery: 0x5a,
  query: 0x51,
} as const;

export const headerBytes = 5;

export function queryMessage(text: string): Buffer {
  const body = Buffer.byteLength(text) + 1;
  const message = Buffer.alloc(headerBytes + body);
  writeHeader(message, messageTypes.query, body);
  message.write(text, headerBytes);
  return message;
}

export function copyDataHeader(bodyBytes: number): Buffer {
  const header = Buffer.alloc(headerBytes);
  writeHeader(header, messageTypes.copyData, bodyBytes);
  return header;
}

export function copyDoneMessage(): Buffer {
  const message = Buffer.alloc(headerBytes);
  writeHeader(message, messageTypes.copyDone, 0);
  return message;
}

/** `COPY 17` in the body of CommandComplete; `undefined` for any other statement. */
export function copiedRows(body: Buffer): number | undefined {
  const match = /^COPY (\d{1,15})\0$/.exec(body.toString('latin1'));
  return match === null ? undefined : Number(match[1]);
}

/** An ErrorResponse, in the shape of the errors of `pg`: SQLSTATE as `code`. */
export function serverError(body: Buffer): Error & { code: string } {
  const fields = new Map<string, string>();
  for (const field of body.toString('utf8').split('\0')) {
    if (field !== '') fields.set(field[0]!, field.slice(1));
  }
  const error = new Error(fields.get('M') ?? 'the server reports an error without a message');
  return Object.assign(error, { code: fields.get('C') ?? 'XX000' });
}

function writeHeader(message: Buffer, type: number, bodyBytes: number): void {
  message[0] = type;
  message.writeUInt32BE(bodyBytes + 4, 1);
}
