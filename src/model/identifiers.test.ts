import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatUuid, isBackupId, isUuid, parseBackupId, timedId, uuidBytes, uuidv7 } from './identifiers.ts';

const year9999 = Date.UTC(9999, 11, 31);
const time = fc.date({ min: new Date(0), max: new Date(year9999), noInvalidDate: true });
const random = fc.uint8Array({ minLength: 10, maxLength: 16 });

describe('a UUIDv7', () => {
  it('has the bits of RFC 9562 §5.7 and begins with its time', () => {
    fc.assert(
      fc.property(time, random, (now, bytes) => {
        const uuid = uuidv7(now, bytes);
        expect(uuid).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
        expect(isUuid(uuid)).toBe(true);
        expect(uuidBytes(uuid).readUIntBE(0, 6)).toBe(now.getTime());
      }),
    );
  });

  it('sorts by time', () => {
    fc.assert(
      fc.property(time, time, random, random, (a, b, first, second) => {
        fc.pre(a.getTime() < b.getTime());
        expect(uuidv7(a, first) < uuidv7(b, second)).toBe(true);
      }),
    );
  });

  it('is the vector of RFC 9562 A.6', () => {
    const bytes = Buffer.from('0cc318c4dc0c0c07398f', 'hex');
    expect(uuidv7(new Date('2022-02-22T19:22:22.000Z'), bytes)).toBe('017f22e2-79b0-7cc3-98c4-dc0c0c07398f');
  });
});

describe('uuid bytes', () => {
  it('are written and read again', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (bytes) => {
        expect(isUuid(formatUuid(bytes))).toBe(true);
        expect(uuidBytes(formatUuid(bytes))).toEqual(Buffer.from(bytes));
      }),
    );
  });

  it.each([
    '',
    'x',
    '017F22E2-79B0-7CC3-98C4-DC0C0C07398F',
    '017f22e279b07cc398c4dc0c0c07398f',
    ' 017f22e2-79b0-7cc3-98c4-dc0c0c07398f',
    '017f22e2-79b0-7cc3-98c4-dc0c0c07398f\n',
  ])('are not read from %j', (text) => {
    expect(isUuid(text)).toBe(false);
  });
});

describe('a timed id', () => {
  it('is a backup id, made of its second in UTC and six characters', () => {
    fc.assert(
      fc.property(time, random, (now, bytes) => {
        const id = timedId(now, bytes);
        expect(parseBackupId(id)).toBe(id);
        expect(id.slice(0, 16)).toBe(`${now.toISOString().slice(0, 19).replaceAll(/[-:]/g, '')}Z`);
        expect(id.slice(17)).toMatch(/^[0-9abcdefghjkmnpqrstvwxyz]{6}$/);
      }),
    );
  });

  it('sorts by its second', () => {
    const bytes = new Uint8Array(10);
    expect(timedId(new Date('2026-11-22T00:00:00.999Z'), bytes)).toBe('20261122T000000Z-000000');
    expect(timedId(new Date('2026-11-22T00:00:01Z'), bytes) > '20261122T000000Z-zzzzzz').toBe(true);
  });

  it.each([
    '',
    'latest',
    '20261122T000000Z',
    '20261122T000000Z-K3F9Q2',
    '20261122T000000Z-k3f9q2x',
    '../20261122T000000Z-k3f9q2',
    '20261122T000000Z-k3f9q2\n',
    'x'.repeat(200),
  ])('is not %j', (text) => {
    expect(isBackupId(text)).toBe(false);
    expect(() => parseBackupId(text)).toThrow(expect.objectContaining({ code: 'usage' }) as Error);
  });
});
