import type { Clock } from '#ports/clock.ts';
import { TpmReader, uint16, uint32 } from '#model/tpm/wire.ts';
import { isPassing, responseCodes, TpmRefusal } from './response-code.ts';
import { TpmConnection } from './tpm-connection.ts';
import type { TpmDevice } from './tpm-device.ts';

/** TPM 2.0 Part 2, chapter 6.5.2. */
const commandCodes = {
  ActivateCredential: 0x147,
  NV_Read: 0x14e,
  PolicySecret: 0x151,
  Create: 0x153,
  Load: 0x157,
  CreatePrimary: 0x131,
  Unseal: 0x15e,
  FlushContext: 0x165,
  LoadExternal: 0x167,
  NV_ReadPublic: 0x169,
  PolicyAuthorize: 0x16a,
  PolicyOR: 0x171,
  ReadPublic: 0x173,
  StartAuthSession: 0x176,
  VerifySignature: 0x177,
  GetCapability: 0x17a,
  PCR_Read: 0x17e,
  PolicyPCR: 0x17f,
} as const;

export type CommandName = keyof typeof commandCodes;

export interface TpmCommand {
  readonly handles?: readonly number[];
  /** Sessions that authorize the handles, in order: a policy session, or `emptyPassword`. */
  readonly authorizations?: readonly number[];
  readonly parameters?: readonly Uint8Array[];
}

/** TPM_RS_PW with an empty value. */
export const emptyPassword = 0x4000_0009;

const tags = { noSessions: 0x8001, sessions: 0x8002 } as const;
const maxAttempts = 10;
const retryMs = 100;

/** Sends commands one after another and reads their responses (TPM 2.0 Part 1, "Command/Response Structure"). */
export class TpmClient {
  readonly #connection: TpmConnection;
  readonly #clock: Clock;
  readonly #loaded = new Set<number>();

  private constructor(connection: TpmConnection, clock: Clock) {
    this.#connection = connection;
    this.#clock = clock;
  }

  /** Runs `work` with the TPM and leaves nothing loaded in it. Throws `sealing-unavailable`, and what `work` throws. */
  static async use<T>(device: TpmDevice, clock: Clock, work: (tpm: TpmClient) => Promise<T>): Promise<T> {
    const connection = await TpmConnection.open(device);
    const client = new TpmClient(connection, clock);
    try {
      return await work(client);
    } finally {
      await client.#flushLoaded().catch(() => {});
      await connection.close();
    }
  }

  /** The parameters of the response. Throws `TpmRefusal`; `sealing-unavailable` when the TPM does not answer. */
  async run(name: CommandName, command: TpmCommand = {}): Promise<TpmReader> {
    return (await this.#execute(name, command, 0)).parameters;
  }

  /** As `run`, for commands that load something, which is flushed at the end. */
  async load(name: CommandName, command: TpmCommand): Promise<{ handle: number; parameters: TpmReader }> {
    const { handles, parameters } = await this.#execute(name, command, 1);
    const handle = handles[0]!;
    this.#loaded.add(handle);
    return { handle, parameters };
  }

  async #execute(
    name: CommandName,
    command: TpmCommand,
    responseHandles: number,
  ): Promise<{ handles: number[]; parameters: TpmReader }> {
    const bytes = encodeCommand(name, command);
    try {
      for (let attempt = 1; ; attempt++) {
        const response = new TpmReader(await this.#connection.transmit(bytes));
        const tag = response.uint16();
        response.uint32();
        const code = response.uint32();
        if (code === responseCodes.success) return readBody(response, tag, responseHandles);
        const more = attempt < maxAttempts;
        if (more && isPassing(code)) await this.#clock.sleep(retryMs * attempt);
        else if (!more || !(await this.#freeMemory(code))) throw new TpmRefusal(name, code);
      }
    } finally {
      bytes.fill(0);
    }
  }

  /**
   * Without a resource manager, what a killed process had loaded stays in the TPM's few places; and with one, only our own is
   * listed here. True when something was freed.
   */
  async #freeMemory(code: number): Promise<boolean> {
    if (code !== responseCodes.objectMemory && code !== responseCodes.sessionMemory) return false;
    const kind = code === responseCodes.objectMemory ? 0x8000_0000 : 0x0200_0000;
    const abandoned = (await this.handles(kind)).filter((handle) => !this.#loaded.has(handle));
    for (const handle of abandoned) await this.unload(handle);
    return abandoned.length > 0;
  }

  /** Handles of one kind, by its first one. */
  async handles(first: number): Promise<number[]> {
    const capabilityHandles = 1;
    const parameters = [uint32(capabilityHandles), uint32(first), uint32(64)];
    const response = await this.run('GetCapability', { parameters });
    response.uint8();
    response.uint32();
    const count = response.uint32();
    return Array.from({ length: Math.min(count, 64) }, () => response.uint32());
  }

  async #flushLoaded(): Promise<void> {
    for (const handle of this.#loaded) await this.unload(handle);
  }

  async unload(handle: number): Promise<void> {
    await this.run('FlushContext', { parameters: [uint32(handle)] });
    this.#loaded.delete(handle);
  }
}

function encodeCommand(name: CommandName, { handles = [], authorizations = [], parameters = [] }: TpmCommand): Buffer {
  const sessions = Buffer.concat(authorizations.map(encodeAuthorization));
  const authorizationArea = authorizations.length === 0 ? [] : [uint32(sessions.length), sessions];
  const body = Buffer.concat([...handles.map(uint32), ...authorizationArea, ...parameters]);
  const tag = authorizations.length === 0 ? tags.noSessions : tags.sessions;
  const bytes = Buffer.concat([uint16(tag), uint32(10 + body.length), uint32(commandCodes[name]), body]);
  body.fill(0);
  return bytes;
}

/** No nonce, `continueSession`, no HMAC: right for an empty password and for a policy session that is bound to nothing. */
function encodeAuthorization(handle: number): Buffer {
  return Buffer.concat([uint32(handle), uint16(0), Buffer.of(1), uint16(0)]);
}

function readBody(
  response: TpmReader,
  tag: number,
  responseHandles: number,
): { handles: number[]; parameters: TpmReader } {
  const handles = Array.from({ length: responseHandles }, () => response.uint32());
  const size = tag === tags.sessions ? response.uint32() : response.remaining;
  return { handles, parameters: new TpmReader(response.bytes(size)) };
}
