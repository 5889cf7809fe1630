import { expect, it } from 'vitest';
import { translate } from './statements.ts';

it('dropping a database with all that is in it is said in the words of PostgreSQL', () => {
  expect(translate('drop database malbork cascade; create database malbork;')).toBe(
    'drop database malbork with (force); create database malbork;',
  );
  expect(translate('  DROP DATABASE IF EXISTS "malbork" CASCADE;')).toBe(
    '  DROP DATABASE IF EXISTS "malbork" with (force);',
  );
});

it('without cascade it is refused as it stands, and values stay what they are', () => {
  expect(translate('drop database malbork;')).toBe('drop database malbork;');
  const row = `INSERT INTO notes VALUES ('drop database malbork cascade');`;
  expect(translate(row)).toBe(row);
});
