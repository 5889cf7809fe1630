import { describe, expect, it } from 'vitest';
import { exportSchema } from './export-schema.ts';
import { parseMigration } from './migrations.ts';

const migrations = (...scripts: string[]) =>
  scripts.map((script, index) => parseMigration(`000${index + 1}-step.sql`, Buffer.from(script)));

describe('the schema of an export', () => {
  it('puts off indexes and foreign keys, under the names that PostgreSQL gives', () => {
    const [made] = migrations(`CREATE TABLE parents (parent_id UUID PRIMARY KEY);
CREATE TABLE children (
  child_id UUID PRIMARY KEY,
  parent_id UUID NOT NULL REFERENCES parents (parent_id),
  note TEXT
);
CREATE INDEX children_by_parent ON children (parent_id);`);
    expect(exportSchema([made!], 1)).toEqual({
      tables: [
        'CREATE TABLE parents (parent_id UUID PRIMARY KEY)',
        'CREATE TABLE children (\n  child_id UUID PRIMARY KEY,\n  parent_id UUID NOT NULL,\n  note TEXT\n)',
      ],
      indexes: ['CREATE INDEX children_by_parent ON children (parent_id)'],
      foreignKeys: [
        'ALTER TABLE children ADD CONSTRAINT children_parent_id_fkey FOREIGN KEY (parent_id) REFERENCES parents (parent_id)',
      ],
    });
  });

  it('is that of the version asked for, without what later migrations took away', () => {
    const steps = migrations(
      `-- ephemeral: old
CREATE TABLE parents (parent_id UUID PRIMARY KEY);
CREATE TABLE old (
  parent_id UUID REFERENCES parents (parent_id)
);
INSERT INTO old (parent_id) VALUES (NULL);
CREATE INDEX parents_too ON parents (parent_id);`,
      `DROP INDEX parents_too;
ALTER TABLE parents ADD COLUMN other UUID REFERENCES parents (parent_id);
DROP TABLE old;`,
    );
    const first = exportSchema(steps, 1);
    expect([first.tables.length, first.indexes.length, first.foreignKeys.length]).toEqual([3, 1, 1]);
    const second = exportSchema(steps, 2);
    expect(second.tables.slice(3)).toEqual(['ALTER TABLE parents ADD COLUMN other UUID', 'DROP TABLE old']);
    expect(second.indexes).toEqual([]);
    expect(second.foreignKeys).toEqual([
      'ALTER TABLE parents ADD CONSTRAINT parents_other_fkey FOREIGN KEY (other) REFERENCES parents (parent_id)',
    ]);
  });

  it('refuses a form of foreign key that it cannot put off', () => {
    const steps = migrations(
      'CREATE TABLE a (id UUID PRIMARY KEY);\nCREATE TABLE b (\n  id UUID,\n  FOREIGN KEY (id) REFERENCES a (id)\n);',
    );
    expect(() => exportSchema(steps, 1)).toThrow(SyntaxError);
  });
});
