import type { ErrorCode } from '#errors/codes.ts';

/** Something that reads what strangers wrote. */
export interface Target {
  readonly name: string;
  /** Valid inputs, from which the mutations begin. */
  readonly seeds: readonly Buffer[];
  readonly json: boolean;
  /** The codes with which it may refuse; anything else that it throws is a bug. */
  readonly codes: readonly ErrorCode[];
  /** A string says in which way it was read, where there are several. */
  read(input: Buffer): unknown;
}

export const damaged: readonly ErrorCode[] = ['damaged', 'version-incompatible'];
export const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
