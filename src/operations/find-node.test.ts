import { describe, expect, it } from 'vitest';
import { findNode } from './find-node.ts';

const nodes = [
  { nodeId: 'id-1', name: 'host-a' },
  { nodeId: 'id-2', name: 'host-b' },
  { nodeId: 'id-3', name: 'host-b' },
  { nodeId: 'id-4', name: 'id-1' },
];

describe('findNode', () => {
  it('finds by id before name, and by a name that one host has', () => {
    expect(findNode(nodes, 'host-a').nodeId).toBe('id-1');
    expect(findNode(nodes, 'id-1').nodeId).toBe('id-1');
    expect(findNode(nodes, 'id-3').nodeId).toBe('id-3');
  });

  it('refuses a name that nobody has, and one that several have, naming their ids', () => {
    expect(() => findNode(nodes, 'host-z')).toThrow(
      expect.objectContaining({ code: 'not-found', message: 'no enrolled host is called host-z' }),
    );
    expect(() => findNode(nodes, 'host-b')).toThrow(
      expect.objectContaining({ code: 'usage', hint: expect.stringContaining('id-2, id-3') }),
    );
  });
});
