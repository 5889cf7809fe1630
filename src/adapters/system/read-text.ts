import { open } from 'node:fs/promises';
import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';

const usualBytes = 65_536;

/** The text of a file, or of standard input for `-`; at most 64 KiB unless more is allowed. Throws `usage`. */
export async function readText(source: string, stdin: NodeJS.ReadableStream, maxBytes = usualBytes): Promise<string> {
  if (source === '-') return await collect(stdin, 'standard input', maxBytes);
  try {
    const file = await open(source);
    return await collect(file.createReadStream({ end: maxBytes }), source, maxBytes);
  } catch (error) {
    if (error instanceof EnclaveManagerError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new EnclaveManagerError('usage', `${source} cannot be read: ${reason}`, {
      hint: 'Name a file that this user may read, or -.',
    });
  }
}

async function collect(stream: NodeJS.ReadableStream, name: string, maxBytes: number): Promise<string> {
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
