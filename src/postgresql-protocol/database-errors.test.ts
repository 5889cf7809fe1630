import { expect, it } from 'vitest';
import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';
import { errorCode, isLostConnection, toDatabaseError } from './database-errors.ts';

const withCode = (code: string): Error => Object.assign(new Error('as the server says'), { code });

it.each([
  'ECONNREFUSED',
  'ENOENT',
  'ETIMEDOUT',
  '08006',
  '28P01',
  '28000',
  '57P01',
  '57P03',
  '53300',
  '3D000',
  '42501',
  '57014',
  '55P03',
  'XX001',
])('gives %s the code database-unreachable and keeps what the server said', (code) => {
  const error = toDatabaseError(withCode(code), 'postgres://u@h:1/d');
  expect(error).toMatchObject({
    code: 'database-unreachable',
    message: expect.stringMatching(/^postgres:\/\/u@h:1\/d: .*as the server says$/) as string,
  });
  expect(errorCode(error)).toBe(code);
});

it('gives several refused addresses one message', () => {
  const error = Object.assign(new AggregateError([new Error('first'), new Error('second')]), { code: 'ECONNREFUSED' });
  expect(toDatabaseError(error, 'x')).toMatchObject({ code: 'database-unreachable', message: 'x: first; second' });
});

it('knows a full disk', () => {
  expect(toDatabaseError(withCode('53100'), 'x')).toMatchObject({ code: 'no-space' });
});

it.each(['40001', '23505', '42P01', '22P02'])('leaves %s to the caller', (code) => {
  const error = withCode(code);
  expect(toDatabaseError(error, 'x')).toBe(error);
  expect(isLostConnection(error)).toBe(false);
});

it('leaves typed errors and other values alone', () => {
  const typed = new EnclaveManagerError('damaged', 'x');
  expect([toDatabaseError(typed, 'x'), toDatabaseError('text', 'x')]).toEqual([typed, 'text']);
});

it.each([
  [withCode('57P01'), true],
  [withCode('28P01'), false],
  [new Error('Connection terminated unexpectedly'), true],
  [new EnclaveManagerError('database-unreachable', 'x', { cause: withCode('ECONNRESET') }), true],
  [new AggregateError([withCode('ECONNREFUSED')]), true],
])('tells whether the connection can still be used: %s', (error, lost) => {
  expect(isLostConnection(error)).toBe(lost);
});
