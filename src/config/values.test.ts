import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { maskDatabaseUrl, parseDatabaseUrl } from './database-url.ts';
import { OptionProblem } from './option.ts';
import { nameFromHost, parseDuration, parseListenAddress, parseName, parseOptionalName } from './values.ts';

describe('parseDuration', () => {
  it.each([
    ['30d', 2_592_000_000],
    ['72h', 259_200_000],
    ['2w', 1_209_600_000],
    ['90 m', 5_400_000],
  ])('reads %s', (text, durationMs) => {
    expect(parseDuration(text)).toBe(durationMs);
  });

  it.each(['', '30', 'd', '-3d', '1e3d', '59m', '9999999d'])('refuses "%s"', (text) => {
    expect(() => parseDuration(text)).toThrow(OptionProblem);
  });
});

describe('parseListenAddress', () => {
  it.each([
    ['127.0.0.1:8080', { host: '127.0.0.1', port: 8080 }],
    ['[::1]:0', { host: '::1', port: 0 }],
    ['manager.example:443', { host: 'manager.example', port: 443 }],
  ])('reads %s', (text, address) => {
    expect(parseListenAddress(text)).toEqual(address);
  });

  it.each(['8080', ':8080', '::1:8080', 'host:65536', 'host:', 'http://host:1'])('refuses "%s"', (text) => {
    expect(() => parseListenAddress(text)).toThrow(OptionProblem);
  });
});

describe('parseOptionalName', () => {
  it('takes an empty text for none, and every other one as a name', () => {
    expect(parseOptionalName('')).toBeUndefined();
    expect(parseOptionalName('eu-de-1')).toBe('eu-de-1');
    expect(() => parseOptionalName(' ')).toThrow(OptionProblem);
  });
});

describe('nameFromHost', () => {
  it('makes a valid name of every host name', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 100 }), (host) => parseName(nameFromHost(host)) !== ''),
    );
  });
});

describe('parseDatabaseUrl', () => {
  it.each([
    ['postgres:///malbork?host=/run/postgresql', 'malbork', 'postgres:///malbork?host=/run/postgresql'],
    ['postgresql://manager@/vault?host=/run/postgresql', 'vault', 'postgresql://manager@/vault?host=/run/postgresql'],
    ['postgres://db', 'malbork', 'postgres://db'],
  ])('reads %s', (url, databaseName, location) => {
    expect(parseDatabaseUrl(url)).toEqual({ url, databaseName, location });
  });

  it('masks every text without ever printing its password', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[a-z0-9%:@/?#]{0,12}$/), (noise) => {
        expect(maskDatabaseUrl(`postgres://u:Zq7Secret${noise}@host/db`)).not.toContain('Zq7Secret');
      }),
    );
  });
});
