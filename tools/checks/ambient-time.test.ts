import { describe, expect, it } from 'vitest';
import { ambientTime } from './ambient-time.ts';

const found = (path: string, text: string): string[] => ambientTime([{ path, text }]).map(({ where }) => where);

describe('asking the machine for the time', () => {
  it('is refused in rules', () => {
    expect(found('src/model/backup.ts', 'one;\nconst now = new Date();')).toEqual(['src/model/backup.ts:2']);
    expect(found('src/operations/restore.ts', 'const now = Date( );')).toEqual(['src/operations/restore.ts:1']);
  });

  it('is what adapters and composition roots do', () => {
    expect(found('src/adapters/system/clock.ts', 'new Date()')).toEqual([]);
    expect(found('src/main.ts', 'new Date()')).toEqual([]);
  });

  it('is not making a date of a value, nor a comment', () => {
    expect(found('src/model/backup.ts', 'new Date(value); formatDate(x)\n// new Date() is not ours')).toEqual([]);
  });
});
