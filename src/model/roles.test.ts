import { describe, expect, it } from 'vitest';
import { isPermitted, roles, type Permission } from './roles.ts';

const permitted = (permission: Permission) => roles.filter((role) => isPermitted(role, permission));

describe('isPermitted', () => {
  it('lets everybody look, writers write what is theirs, and only managers the rest', () => {
    expect(permitted('look')).toEqual(['reader', 'writer', 'manager']);
    expect(permitted('write-own')).toEqual(['writer', 'manager']);
    expect(permitted('write-all')).toEqual(['manager']);
    expect(permitted('approve')).toEqual(['manager']);
  });
});
