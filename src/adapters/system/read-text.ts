import { open } from 'node:fs/promises';
import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';

const maxBytes = 65_536;

/** The text of a file, or of standard input for `-`; at most 64 KiB. Throws `usage`. */
export async function readText(source: string, stdin: NodeJS.ReadableStream): Promise<string> {
  if (source === '-') return await collect(stdin, 'standard input');
  try {
    const file = await open(source);
    return await collect(file.createReadStream({ end: maxBytes }), source);
  } catch (error) {
    if (error instanceof EnclaveManagerError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new EnclaveManagerError('usage', `${source} cannot be read: ${reason}`, {
      hint: 'Name a file that this user may read, or -.',
    });
  }
}

async function collect(stream: NodeJS.ReadableStream, name: string): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of stream) {
    chunks.push(Buffer.from(chunk));
    bytes += chunks.at(-1)!.length;
    if (bytes > maxBytes)
      throw new EnclaveManagerError('usage', `${name} holds more than ${maxBytes} bytes`, {
        hint: 'Give the token and nothing else.',
      });
  }
  return Buffer.concat(chunks).toString('utf8');
}
