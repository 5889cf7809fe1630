/** How the texts of the `ENCLAVE_MANAGER_S3_…` options are read. */
import type { S3Addressing, S3Checksums, S3ObjectLock } from '#model/s3-settings.ts';
import { OptionProblem } from './option.ts';

const hostPattern = /^(?:[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?|\[[0-9a-fA-F:.]{2,45}\])$/;

/** With or without scheme; resolves to `https://host:port/path` without a slash at its end. */
export function parseEndpoint(text: string): string {
  const withScheme = /^[A-Za-z][A-Za-z0-9+.-]*:\/\//.test(text) ? text : `https://${text}`;
  const url = URL.canParse(withScheme) ? new URL(withScheme) : undefined;
  if (url === undefined || !hostPattern.test(url.hostname) || !['https:', 'http:'].includes(url.protocol)) {
    throw new OptionProblem(
      'is not an endpoint',
      'Write s3.eu-de.cloud-object-storage.appdomain.cloud, https://storage.example:9000, or http://127.0.0.1:7480.',
    );
  }
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') {
    throw new OptionProblem(
      'holds more than scheme, host, port and path',
      'Leave credentials and everything from ? on away.',
    );
  }
  return url.href.replace(/\/+$/, '');
}

export function parseRegion(text: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/.test(text)) return text;
  throw new OptionProblem(
    'is not a region',
    'Write it as the store does: eu-de, eu-central-1; us-east-1 often serves.',
  );
}

export function parseAddressing(text: string): S3Addressing | 'auto' {
  if (text === 'auto' || text === 'path' || text === 'virtual') return text;
  throw new OptionProblem('is not a way to address a bucket', 'Use auto, path (host/bucket) or virtual (bucket.host).');
}

/** `http://proxy.example:3128`, with or without user and password. */
export function parseProxy(text: string): string {
  const withScheme = /^[A-Za-z][A-Za-z0-9+.-]*:\/\//.test(text) ? text : `http://${text}`;
  const url = URL.canParse(withScheme) ? new URL(withScheme) : undefined;
  if (url !== undefined && ['http:', 'https:'].includes(url.protocol) && hostPattern.test(url.hostname)) {
    return url.href.replace(/\/+$/, '');
  }
  throw new OptionProblem('is not a proxy', 'Write http://proxy.example:3128.');
}

export function parseChecksums(text: string): S3Checksums {
  if (text === 'signature' || text === 'md5' || text === 'sha256') return text;
  throw new OptionProblem('is not a checksum mode', 'Use signature, md5 or sha256.');
}

const maxLockDays = 3650;

/** `off`, `governance:30d`, `compliance:30d`. */
export function parseObjectLock(text: string): S3ObjectLock | undefined {
  if (text === 'off' || text === '') return undefined;
  const match = /^(governance|compliance):(\d{1,4})d$/.exec(text);
  const days = Number(match?.[2]);
  if (match === null || days < 1 || days > maxLockDays) {
    throw new OptionProblem(
      'is not an object lock',
      `Use off, governance:30d or compliance:30d; 1 to ${maxLockDays} days.`,
    );
  }
  return { mode: match[1] === 'governance' ? 'governance' : 'compliance', days };
}
