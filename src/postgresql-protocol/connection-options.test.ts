import { userInfo } from 'node:os';
import { describe, expect, it } from 'vitest';
import { describeOptions, parseDatabaseUrl, validateOptions } from './connection-options.ts';

describe('a database URL', () => {
  it('is read with what is escaped in it, and asks for TLS unless told not to', () => {
    const options = parseDatabaseUrl('postgres://some%40body:p%2Fw%3A@db.example:6432/malbork');
    expect(options).toEqual({
      host: 'db.example',
      port: 6432,
      user: 'some@body',
      password: 'p/w:',
      database: 'malbork',
      tls: { mode: 'prefer', authorities: null, certificate: null, key: null },
    });
    const ofSession = { ...options, settings: { timezone: 'UTC' }, namesDatabase: false };
    expect(validateOptions(JSON.parse(JSON.stringify(ofSession)))).toEqual(ofSession);
    expect(parseDatabaseUrl('postgresql://u@[::1]/x?sslmode=disable')).toMatchObject({
      host: '::1',
      port: 5432,
      password: null,
      tls: null,
    });
  });

  it.each([
    ['postgres:///malbork?host=/run/postgresql', userInfo().username],
    ['postgres://someone@/malbork?host=/run/postgresql', 'someone'],
    ['postgres://someone@%2Frun%2Fpostgresql/malbork', 'someone'],
    ['postgres://someone@%2Frun%2Fpostgresql', 'someone'],
  ])('%s names a Unix socket', (url, user) => {
    expect(parseDatabaseUrl(url)).toEqual({
      host: '/run/postgresql',
      port: 5432,
      user,
      password: null,
      database: 'malbork',
      tls: null,
    });
  });

  it.each([
    ['nonsense', 'is not a URL'],
    ['mysql://u:secret@h/d', 'mysql:'],
    ['postgres:///malbork', 'names no host'],
    ['postgres://u:secret@h/a/b', 'more than one'],
    ['postgres://u:secret@h/d?sslmode=maybe', 'maybe'],
    ['postgres://u:secret@h/d?sslrootcert=/not/there', '/not/there'],
    ['postgres://u:secret@h/d?options=-cfsync=off', 'options'],
  ])('%s is refused, without its password', (url, message) => {
    expect(() => parseDatabaseUrl(url)).toThrow(
      expect.objectContaining({ code: 'configuration', message: expect.stringContaining(message) as string }) as Error,
    );
    expect(() => parseDatabaseUrl(url)).not.toThrow('secret');
  });

  it('is shown to people without its password', () => {
    expect(describeOptions(parseDatabaseUrl('postgres://u:secret@h:1/d'))).toBe('postgres://u@h:1/d');
    expect(describeOptions(parseDatabaseUrl('postgres://u:secret@[::1]/d'))).toBe('postgres://u@[::1]:5432/d');
    expect(describeOptions(parseDatabaseUrl('postgres://u:secret@h/d?host=/run'))).toBe('postgres://u@/d?host=/run');
  });
});
