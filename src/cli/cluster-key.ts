import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import type { Input } from './command.ts';

/** The SHA-256 of the key in base64url, as every recovery line has it. */
const fingerprint = /^sha256:[\w-]{43}$/;

/** What a person typed for `--cluster-key`, if anything; `usage` for what can be no fingerprint of any key. */
export function readClusterKey({ options }: Input): string | undefined {
  const text = options['cluster-key'];
  if (typeof text !== 'string') return undefined;
  if (fingerprint.test(text)) return text;
  throw new EnclaveManagerError('usage', `--cluster-key is "${text.slice(0, 60)}", not the fingerprint of a key`, {
    hint: 'Copy all of it from a recovery line: sha256: and 43 characters. Every backup prints one.',
  });
}
