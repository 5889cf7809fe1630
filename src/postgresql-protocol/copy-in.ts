import { exchangeCopy } from './copy-exchange.ts';
import type { WireConnection } from './wire-connection.ts';
import { copyDataHeader, copyDoneMessage } from './wire-messages.ts';

const pieceBytes = 1024 * 1024;

/** Sends bytes to a `COPY … FROM STDIN` and resolves with the rows that the server says it took. */
export async function copyIn(wire: WireConnection, statement: string, bytes: Uint8Array): Promise<number> {
  let over = false;
  let sending: Promise<void> | undefined;
  try {
    const end = await exchangeCopy(wire, statement, {
      accepted: () => {
        sending = sendBytes(wire, bytes, () => over);
      },
    });
    return end.rows;
  } finally {
    over = true;
    await sending;
  }
}

/** Stops early when the server has refused the rows: after that it reads and drops whatever still comes. */
async function sendBytes(wire: WireConnection, bytes: Uint8Array, isOver: () => boolean): Promise<void> {
  for (let at = 0; at < bytes.length && !isOver(); at += pieceBytes) {
    const piece = bytes.subarray(at, at + pieceBytes);
    await wire.write(copyDataHeader(piece.length), piece);
  }
  if (!isOver()) await wire.write(copyDoneMessage());
}
