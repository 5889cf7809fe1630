/**
 * What the payloads of signed documents have in common: fields with limits, and one kind of error. Members that this
 * version does not know are left out, as everywhere in the format.
 */
import { z } from 'zod';

import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { isBackupId, isUuid } from '#model/identifiers.ts';

import { parseObjectName } from './layout.ts';

const timestampPattern = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$/;

/** RFC 3339, always UTC with `Z`. */
export const timestamp = z
  .string()
  .max(40)
  .refine((text) => timestampPattern.test(text) && !Number.isNaN(Date.parse(text)), 'is not a time in UTC (RFC 3339)');
export const uuid = z.string().max(36).refine(isUuid, 'is not a lower-case UUID');
export const timedIdentifier = z
  .string()
  .max(40)
  .refine(isBackupId, 'is not an identifier like 20261122T000000Z-k3f9q2');
export const objectName = z
  .string()
  .max(81)
  .refine((text) => parseObjectName(text) !== undefined, 'is not an object name');
export const chunkIdentifier = z.string().regex(/^[0-9a-f]{64}$/, 'is not 64 hex digits');
/** 0 up to 2^53 − 1. */
export const count = z.int().min(0);
/** 1 up to 2^53 − 1. */
export const ordinal = z.int().min(1);
/** Key epochs have 32 bits in the header of a chunk. */
export const epochNumber = z
  .int()
  .min(1)
  .max(2 ** 32 - 1);

/** Base64 as RFC 4648 §4 writes it, with padding. Compared with its own re-encoding: zod's pattern overflows on megabytes. */
export function base64(maxCharacters: number): z.ZodType<string> {
  return z
    .string()
    .max(maxCharacters)
    .refine((text) => Buffer.from(text, 'base64').toString('base64') === text, 'is not base64');
}

/** Ascending without duplicates, compared by UTF-16 code unit, which for our names is byte order. */
export function isStrictlyAscending(values: readonly string[] | readonly number[]): boolean {
  return values.every((value, index) => index === 0 || values[index - 1]! < value);
}

/** The value if it fits the schema; else `damaged`, naming `what` and the first field that does not fit. */
export function checkedPayload<T>(schema: z.ZodType<T>, what: string, value: unknown): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const field = issue === undefined || issue.path.length === 0 ? '' : ` in ${issue.path.join('.').slice(0, 100)}`;
  throw new EnclaveManagerError(
    'damaged',
    `${what} does not fit the format${field}: ${(issue?.message ?? '').slice(0, 200)}`,
  );
}
