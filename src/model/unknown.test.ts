import { describe, expect, it } from 'vitest';
import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { causeOf, unknownBecause } from './unknown.ts';

describe('what is unknown', () => {
  it.each([
    ['No key on this host opens it.', 'unknown, because no key on this host opens it'],
    ['The host key a.key does not exist.', 'unknown, because the host key a.key does not exist'],
    ['AWS_ACCESS_KEY_ID is not set', 'unknown, because AWS_ACCESS_KEY_ID is not set'],
    ['/srv/file cannot be a repository', 'unknown, because /srv/file cannot be a repository'],
    ['A file is in the way', 'unknown, because a file is in the way'],
  ])('names the cause: %s', (message, said) => {
    expect(unknownBecause({ message })).toBe(said);
  });

  it('keeps code and way out of the failure', () => {
    const failure = new EnclaveManagerError('no-key', 'No key.', { hint: 'Enrol it.' });
    expect(causeOf(failure)).toEqual({ code: 'no-key', message: 'No key', hint: 'Enrol it.' });
  });
});
