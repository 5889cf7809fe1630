import { describe, expect, it } from 'vitest';
import { isSameState, type State } from './state.ts';

const state: State = {
  tables: { servers: '2 rows 00', settings: '1 rows 01' },
  audit: { position: 6, hash: '04' },
  incarnation: '1 af',
  unreadable: [],
};

describe('the state of a database', () => {
  it('is the same for a database that was not touched', () => {
    expect(isSameState(state, { ...state, tables: { ...state.tables } })).toBe(true);
  });

  it('is another where there are as many events, but not the same', () => {
    expect(isSameState(state, { ...state, audit: { position: 6, hash: 'a0' } })).toBe(false);
  });

  it('is another for what a restore made', () => {
    expect(isSameState(state, { ...state, incarnation: '2 db' })).toBe(false);
  });

  it('is another with other rows, or a table more', () => {
    expect(isSameState(state, { ...state, tables: { ...state.tables, servers: '2 rows ff' } })).toBe(false);
    expect(isSameState(state, { ...state, tables: { ...state.tables, more: '0 rows 00' } })).toBe(false);
  });
});
