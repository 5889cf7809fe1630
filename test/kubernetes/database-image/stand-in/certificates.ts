import { join } from 'node:path';
import type { Flags } from './flags.ts';

export interface CertificateFiles {
  readonly ca: string;
  readonly certificate: string;
  readonly key: string;
}

/** Undefined where everything goes in the clear. */
export function certificatesOf(flags: Flags): CertificateFiles | undefined {
  if (flags.insecure) return undefined;
  const directory = flags['certs-dir'];
  if (directory === undefined) throw new Error('give --insecure or --certs-dir');
  const file = (name: string): string => join(directory, name);
  return { ca: file('ca.crt'), certificate: file('node.crt'), key: file('node.key') };
}
