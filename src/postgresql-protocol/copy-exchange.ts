import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { toDatabaseError, unreachable } from './database-errors.ts';
import { MessageSplitter } from './message-splitter.ts';
import { copiedRows, messageTypes, queryMessage, serverError } from './wire-messages.ts';
import type { WireConnection } from './wire-connection.ts';

/** What one COPY does with the messages that are its own. */
interface CopyParty {
  /** COPY TO STDOUT: each row, valid during the call. */
  row?(buffer: Buffer, begin: number, end: number): void;
  ready?(): Promise<void> | undefined;
  /** COPY FROM STDIN: the server waits for rows. */
  accepted?(): void;
}

/**
 * Sends one COPY statement and follows it to its end. Resolves with the server's row count only after CommandComplete
 * and ReadyForQuery, and for COPY TO after CopyDone; an end before that is an error, never a short success.
 */
export function exchangeCopy(wire: WireConnection, statement: string, party: CopyParty): Promise<CopyEnd> {
  return new Promise((resolve, reject) => {
    const exchange = new CopyExchange(wire, party);
    const settle = (end: CopyEnd | undefined, error: unknown): void => {
      if (end === undefined) reject(error);
      else resolve(end);
    };
    exchange.begin(settle);
    void wire.write(queryMessage(statement));
  });
}

export interface CopyEnd {
  /** Rows the server says it copied. */
  readonly rows: number;
  readonly doneSeen: boolean;
}

type Settle = (end: CopyEnd | undefined, error: unknown) => void;

class CopyExchange {
  readonly #wire: WireConnection;
  readonly #party: CopyParty;
  readonly #splitter: MessageSplitter;
  #settle: Settle | undefined;
  #serverError: unknown;
  #rows: number | undefined;
  #doneSeen = false;
  #ended = false;

  constructor(wire: WireConnection, party: CopyParty) {
    this.#wire = wire;
    this.#party = party;
    this.#splitter = new MessageSplitter((type, buffer, begin, end) => this.#message(type, buffer, begin, end));
  }

  begin(settle: Settle): void {
    this.#settle = settle;
    this.#wire.divert(
      (bytes) => this.#receive(bytes),
      (error) => this.#finish(undefined, this.#serverError ?? error),
    );
  }

  #receive(bytes: Buffer): Promise<void> | undefined {
    try {
      const taken = this.#splitter.feed(bytes);
      if (!this.#ended) return this.#party.ready?.();
      this.#wire.restore(bytes.subarray(taken));
      this.#conclude();
    } catch (error) {
      // What is left of the stream makes no sense to anybody: the connection goes with it.
      this.#finish(undefined, toDatabaseError(error, this.#wire.location));
      this.#wire.destroy();
    }
    return undefined;
  }

  #message(type: number, buffer: Buffer, begin: number, end: number): boolean {
    switch (type) {
      case messageTypes.copyData:
        this.#party.row!(buffer, begin, end);
        return true;
      case messageTypes.copyOutResponse:
        requireParty(this.#party.row);
        return true;
      case messageTypes.copyInResponse:
        requireParty(this.#party.accepted);
        this.#party.accepted!();
        return true;
      case messageTypes.copyDone:
        this.#doneSeen = true;
        return true;
      case messageTypes.commandComplete:
        this.#rows = copiedRows(buffer.subarray(begin, end));
        return true;
      case messageTypes.errorResponse:
        this.#serverError = toDatabaseError(serverError(buffer.subarray(begin, end)), this.#wire.location);
        return true;
      case messageTypes.readyForQuery:
        this.#ended = true;
        return false;
      case messageTypes.noticeResponse:
      case messageTypes.notificationResponse:
      case messageTypes.parameterStatus:
        return true;
      default:
        throw protocolViolation(`the server sent a message of the unexpected type ${type}`);
    }
  }

  #conclude(): void {
    if (this.#serverError !== undefined) this.#finish(undefined, this.#serverError);
    else if (this.#rows === undefined) {
      this.#finish(
        undefined,
        unreachable(this.#wire.location, 'the server ended a copy without saying how many rows it had'),
      );
    } else this.#finish({ rows: this.#rows, doneSeen: this.#doneSeen }, undefined);
  }

  #finish(end: CopyEnd | undefined, error: unknown): void {
    const settle = this.#settle;
    this.#settle = undefined;
    settle?.(end, error);
  }
}

/** The error of rows that were counted twice, differently. */
export function countsDiffer(table: string, received: number, reported: number): EnclaveManagerError {
  return new EnclaveManagerError(
    'rows-differ',
    `table "${table}": ${received} rows passed through the connection, but the server counts ${reported}`,
  );
}

function requireParty(party: unknown): void {
  if (party === undefined) throw protocolViolation('the server copies in the wrong direction');
}

function protocolViolation(message: string): Error {
  return Object.assign(new Error(message), { code: '08P01' });
}
