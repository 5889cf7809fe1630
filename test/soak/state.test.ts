import { expect, test } from 'vitest';
import { isSameState, type State } from './state.ts';

const state: State = {
  tables: { servers: '2 rows 00', settings: '1 rows 01' },
  audit: { position: 6, hash: '04' },
  incarnation: '1 af',
};

test('a database that was not touched is the same', () => {
  expect(isSameState(state, { ...state, tables: { ...state.tables } })).toBe(true);
});

test('as many events are not the same events', () => {
  expect(isSameState(state, { ...state, audit: { position: 6, hash: 'a0' } })).toBe(false);
});

test('what a restore made is not what the backup was taken of', () => {
  expect(isSameState(state, { ...state, incarnation: '2 db' })).toBe(false);
});

test('other rows, and a table more, are not the same', () => {
  expect(isSameState(state, { ...state, tables: { ...state.tables, servers: '2 rows ff' } })).toBe(false);
  expect(isSameState(state, { ...state, tables: { ...state.tables, more: '0 rows 00' } })).toBe(false);
});
