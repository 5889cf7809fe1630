import { readFile } from 'node:fs/promises';
import { errnoName, fromFileSystemError } from '#errors/file-system-error.ts';

/** The value of a JSON file: `absent` where there is no such file, `undefined` for what is no JSON or longer than it may be. */
export async function readJsonFile(path: string, maxCharacters: number): Promise<unknown> {
  try {
    return parseJson(await readFile(path, 'utf8'), maxCharacters);
  } catch (error) {
    if (errnoName(error) === 'ENOENT') return absent;
    throw fromFileSystemError(error, path);
  }
}

export const absent: unique symbol = Symbol('absent');

function parseJson(text: string, maxCharacters: number): unknown {
  if (text.length > maxCharacters) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
