import { describe, expect, it } from 'vitest';
import { nodeStatuses, statusInMembership } from './node.ts';

describe('statusInMembership', () => {
  it('deactivates whatever the membership does not name', () => {
    for (const status of [undefined, ...nodeStatuses]) expect(statusInMembership(status, false)).toBe('DEACTIVATED');
  });

  it('provisions a new member and one that was deactivated', () => {
    expect(statusInMembership(undefined, true)).toBe('PROVISIONED');
    expect(statusInMembership('DEACTIVATED', true)).toBe('PROVISIONED');
  });

  it('leaves a member the status it has', () => {
    expect(statusInMembership('RUNNING', true)).toBe('RUNNING');
    expect(statusInMembership('FAILED', true)).toBe('FAILED');
  });
});
