import { isAbsolute, resolve } from 'node:path';
import { minimumGraceMs } from '#model/prune-rules.ts';
import { parseSchedule, type Schedule } from '#model/schedule.ts';
import { parsePcrSelection, type PcrSelection } from '#model/tpm/pcr-selection.ts';
import { OptionProblem, type Place } from './option.ts';

const maxPathCharacters = 1024;
const controlCharacter = /\p{Cc}/u;

export function parsePath(text: string, place: Place): string {
  if (text === '') throw new OptionProblem('is empty', 'Name a directory, or unset it.');
  if (text.length > maxPathCharacters || controlCharacter.test(text)) {
    throw new OptionProblem(
      'is not a path',
      `Use a path of at most ${maxPathCharacters} characters without control characters.`,
    );
  }
  return isAbsolute(text) ? resolve(text) : resolve(place.workingDirectory, text);
}

/** A line that a person copies. */
export function parseCommand(text: string): string {
  if (text.length <= maxPathCharacters && !controlCharacter.test(text)) return text;
  throw new OptionProblem('is not a command', `Write one line of at most ${maxPathCharacters} characters.`);
}

export function parseSecret(text: string): string {
  if (text === '') throw new OptionProblem('is empty', 'Give the secret, or unset it.');
  return text;
}

export function parseFlag(text: string): boolean {
  if (text === '1' || text === 'true') return true;
  if (text === '0' || text === 'false' || text === '') return false;
  throw new OptionProblem('is neither 1 nor 0', 'Set it to 1, or unset it.');
}

const namePattern = /^[\p{L}\p{N}](?:[\p{L}\p{N}._-]{0,61}[\p{L}\p{N}])?$/u;

/** Names of nodes and sites: shown in tables, never used as a path. */
export function parseName(text: string): string {
  if (namePattern.test(text)) return text;
  throw new OptionProblem(
    'is not a name',
    'Use 1 to 63 letters, digits, dots, dashes and underscores, such as host-a.',
  );
}

/** Empty: none, which is what a label that is not there becomes where it is copied into the environment. */
export const parseOptionalName = (text: string): string | undefined => (text === '' ? undefined : parseName(text));

/** A host name as a node name: other characters become dashes. */
export function nameFromHost(host: string): string {
  const cleaned = host
    .replaceAll(/[^\p{L}\p{N}._-]/gu, '-')
    .slice(0, 63)
    .replace(/^[._-]+/, '')
    .replace(/[._-]+$/, '');
  return cleaned === '' ? 'localhost' : cleaned;
}

export type SealingChoice = 'auto' | 'software' | 'tpm2' | 'sgx';

export function parseSealing(text: string): SealingChoice {
  if (text === 'auto' || text === 'software' || text === 'tpm2' || text === 'sgx') return text;
  throw new OptionProblem('is not a sealing provider', 'Use auto, sgx, tpm2 or software.');
}

/** Ways to a TPM that tpm2-tools have, without those that run commands. */
const tctiPattern = /^(?:device|swtpm|mssim|tabrmd)(?::[\x21-\x7e]{1,1000})?$/;

export function parseTcti(text: string): string {
  if (tctiPattern.test(text)) return text;
  throw new OptionProblem(
    'is not a way to a TPM',
    'Use device:/dev/tpmrm0, tabrmd, or swtpm:path=/run/tpm.sock; mssim is known too.',
  );
}

export function parsePcrs(text: string): PcrSelection {
  const selection = parsePcrSelection(text);
  if (selection !== undefined) return selection;
  throw new OptionProblem('is not a selection of registers', 'Write sha256: and numbers from 0 to 23: sha256:0,7,14.');
}

export function parseSigners(text: string): readonly string[] {
  const signers = text.split(',').map((signer) => signer.trim().toLowerCase());
  if (signers.length <= 100 && signers.every((signer) => /^[0-9a-f]{64}$/.test(signer))) return signers;
  throw new OptionProblem('is not a list of MRSIGNER values', 'Write 64 hex digits each, with commas between.');
}

/** Empty means none. */
export function parseScheduleText(text: string): Schedule | undefined {
  const schedule = parseSchedule(text);
  if (schedule.ok) return schedule.value;
  throw new OptionProblem(schedule.problem, schedule.hint);
}

const units: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };
const minimumPeriodMs = 3_600_000;
const maximumPeriodMs = 3650 * 86_400_000;

/** `30d`, `72h`, `90m` → milliseconds, between an hour and ten years. */
export function parseDuration(text: string): number {
  const match = /^(\d{1,7})\s?([smhdw])$/.exec(text);
  if (match === null) throw new OptionProblem('is not a duration', 'Write a number and a unit: 30d, 72h, 90m, 2w.');
  const durationMs = Number(match[1]) * units[match[2]!]!;
  if (durationMs >= minimumPeriodMs && durationMs <= maximumPeriodMs) return durationMs;
  throw new OptionProblem('is out of range', 'Choose between 1h and 3650d.');
}

/** The shortest that backups rely on (see `model/prune-rules.ts`). */
export function parseGrace(text: string): number {
  const graceMs = parseDuration(text);
  if (graceMs >= minimumGraceMs) return graceMs;
  throw new OptionProblem('is too short', 'Backups rely on at least 24h.');
}

const maximumKept = 100_000;

/** How many backups a rule keeps; empty: there is no such rule. */
export function parseKept(text: string): number | undefined {
  if (text === '') return undefined;
  const number = /^\d{1,6}$/.test(text) ? Number(text) : Number.NaN;
  if (number <= maximumKept) return number;
  throw new OptionProblem('is not a number of backups', `Use a whole number from 0 to ${maximumKept}, or unset it.`);
}

/** Empty: none. */
export const parseOptionalDuration = (text: string): number | undefined =>
  text === '' ? undefined : parseDuration(text);

export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

export function parseListenAddress(text: string): ListenAddress {
  const match = /^(?:\[([0-9a-fA-F:.]{2,45})\]|([A-Za-z0-9._-]{1,253})):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) {
    throw new OptionProblem(
      'is not address:port',
      'Write 127.0.0.1:8080, [::1]:8080, or 0.0.0.0:8080 for every address.',
    );
  }
  return { host: match[1] ?? match[2]!, port };
}
