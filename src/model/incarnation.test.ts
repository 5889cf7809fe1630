import { describe, expect, it } from 'vitest';
import { maxIncarnationNumber } from './backup.ts';
import { backupOfNewerLife } from './incarnation.ts';

const backup = (sequence: number, number: number, random = 'a') => ({ sequence, incarnation: { number, random } });

describe('the life that backs up into a repository', () => {
  it('is the newest where every backup is of it or of an older one', () => {
    expect(backupOfNewerLife({ number: 1, random: 'a' }, [])).toBeUndefined();
    const backups = [backup(1, 1, 'b'), backup(2, 2), backup(3, 2)];
    expect(backupOfNewerLife({ number: 2, random: 'a' }, backups)).toBeUndefined();
    expect(backupOfNewerLife({ number: 3, random: 'c' }, backups)).toBeUndefined();
  });

  it('is not where another has a higher number, whatever was backed up last', () => {
    const backups = [backup(1, 1), backup(4, 3), backup(5, 3), backup(6, 2), backup(7, 1)];
    expect(backupOfNewerLife({ number: 1, random: 'a' }, backups)).toBe(backups[2]);
    expect(backupOfNewerLife({ number: 2, random: 'a' }, backups)).toBe(backups[2]);
  });

  it('is not where another has the same number: neither is the older one', () => {
    const backups = [backup(2, 2, 'a'), backup(3, 2, 'b')];
    expect(backupOfNewerLife({ number: 2, random: 'a' }, backups)).toBe(backups[1]);
    expect(backupOfNewerLife({ number: 2, random: 'b' }, backups)).toBe(backups[0]);
  });

  it('is not refused for a number that somebody planted and nothing can follow', () => {
    const planted = [backup(2, maxIncarnationNumber, 'b'), backup(3, Number.MAX_SAFE_INTEGER, 'c')];
    expect(backupOfNewerLife({ number: 1, random: 'a' }, planted)).toBeUndefined();
    expect(backupOfNewerLife({ number: maxIncarnationNumber, random: 'a' }, planted)).toBeUndefined();
    const below = [backup(4, maxIncarnationNumber - 1, 'd')];
    expect(backupOfNewerLife({ number: 1, random: 'a' }, below)).toBe(below[0]);
    expect(backupOfNewerLife({ number: maxIncarnationNumber, random: 'a' }, below)).toBeUndefined();
  });
});
