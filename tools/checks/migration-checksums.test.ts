import { describe, expect, it } from 'vitest';
import { changedMigrations, checksumsPath, completedChecksums } from './migration-checksums.ts';

const migration = (name: string, text: string) => ({ path: `src/store/migrations/${name}`, text });
const first = migration('0001-first.sql', 'create table a (id int8);\n');
const second = migration('0002-second.sql', 'create table b (id int8);\n');
const list = { path: checksumsPath, text: completedChecksums([first]) };

describe('the list of migrations', () => {
  it('is in the form that sha256sum reads', () => {
    expect(list.text).toMatch(/^[0-9a-f]{64} {2}0001-first\.sql\n$/);
  });

  it('accepts a migration that is as it was', () => {
    expect(changedMigrations([first, list])).toEqual([]);
  });

  it('refuses a migration that was changed or deleted', () => {
    expect(changedMigrations([migration('0001-first.sql', 'drop table a;'), list])).toMatchObject([
      { where: first.path, what: expect.stringContaining('was changed') },
    ]);
    expect(changedMigrations([list])).toMatchObject([
      { where: checksumsPath, what: expect.stringContaining('is gone') },
    ]);
  });

  it('asks for a new migration to be listed', () => {
    expect(changedMigrations([first, second, list])).toMatchObject([{ where: second.path }]);
  });

  it('gains lines for new migrations and keeps those it has', () => {
    const changed = migration('0001-first.sql', 'drop table a;');
    const completed = completedChecksums([changed, second, list]);
    expect(completed.split('\n')).toHaveLength(3);
    expect(completed.startsWith(list.text)).toBe(true);
  });
});
