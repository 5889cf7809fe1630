import { describe, expect, it } from 'vitest';
import { decideTask } from './tasks.ts';

const pending = { taskId: '019aa8f0-0000-7000-8000-000000000000', status: 'PENDING' } as const;

describe('decideTask', () => {
  it('lets a manager approve and deny', () => {
    expect(decideTask(pending, 'APPROVED', 'manager')).toBe('APPROVED');
    expect(decideTask(pending, 'DENIED', 'manager')).toBe('DENIED');
  });

  it('lets nobody else decide', () => {
    for (const role of ['reader', 'writer'] as const) {
      expect(() => decideTask(pending, 'APPROVED', role)).toThrow(expect.objectContaining({ code: 'not-permitted' }));
    }
  });

  it('keeps a decision final', () => {
    const denied = { ...pending, status: 'DENIED' } as const;
    expect(() => decideTask(denied, 'APPROVED', 'manager')).toThrow(expect.objectContaining({ code: 'usage' }));
  });
});
