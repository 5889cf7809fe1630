import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { noKeyringGaps } from './keyring-gaps.ts';
import { judgeOpenability, staleProofMs, type OpenabilityNode } from './openability.ts';

const now = new Date('2026-11-25T00:00:00Z');
const node = (name: string, over: Partial<OpenabilityNode> = {}): OpenabilityNode => ({
  nodeId: `id-${name}`,
  name,
  site: 'east',
  sealingProvider: 'tpm2',
  grade: 'tpm2-certified',
  lastProof: { at: '2026-11-24T12:00:00.000Z', epochs: [1] },
  ...over,
});
const backup = (id: string, ...openers: string[]) => ({
  id,
  kind: 'scheduled' as const,
  startedAt: '2026-11-24T00:00:00.000Z',
  openableBy: openers.map((name) => `id-${name}`),
});
const seen = { hidden: undefined, rejectedManifests: 0, keyringGaps: noKeyringGaps };
const judge = (nodes: OpenabilityNode[], backups: ReturnType<typeof backup>[], without?: string) =>
  judgeOpenability({ ...seen, nodes, backups, without: without === undefined ? undefined : `id-${without}`, now });
const codes = ({ warnings }: ReturnType<typeof judge>) => warnings.map(({ code }) => code);

describe('judgeOpenability', () => {
  it('finds nothing to say of two proved hosts at two sites', () => {
    const found = judge([node('a'), node('b', { site: 'west' })], [backup('x', 'a', 'b')]);
    expect(found).toMatchObject({ warnings: [], lost: [], backups: [{ id: 'x', sites: 2 }] });
  });

  it('names the backups that nobody opens, one host opens, or one site holds', () => {
    const nodes = [node('a'), node('b'), node('c', { site: null })];
    const found = judge(nodes, [backup('x', 'a'), backup('y', 'a', 'b'), backup('z'), backup('w', 'a', 'c')]);
    expect(found.backups.map(({ sites }) => sites)).toEqual([1, 1, 0, 1]);
    expect(found.lost).toEqual(['z']);
    expect(found.warnings.map(({ code, message }) => [code, message])).toEqual([
      ['no-opener', 'no host opens z'],
      ['few-hosts', 'only one host opens x'],
      ['few-sites', 'the hosts that open y are all at one site'],
      ['few-sites', 'the hosts that open w may all be at one site: the site of c is not known'],
    ]);
  });

  it('counts the sites that are known: a host without one may stand beside another', () => {
    const nodes = [node('a'), node('b', { site: 'west' }), node('c', { site: null }), node('d', { site: null })];
    const lists = [['c'], ['c', 'd'], ['a', 'c'], ['a', 'b', 'c', 'd'], []];
    const found = judge(
      nodes,
      lists.map((list, index) => backup(`b${index}`, ...list)),
    );
    expect(found.backups.map(({ sites }) => sites)).toEqual([1, 1, 1, 2, 0]);
  });

  it('thinks a host away as if it had never been', () => {
    const nodes = [node('a'), node('b', { site: 'west', sealingProvider: 'software' })];
    const found = judge(nodes, [backup('x', 'a', 'b'), backup('y', 'b')], 'b');
    expect(found.nodes.map(({ name }) => name)).toEqual(['a']);
    expect(found.lost).toEqual(['y']);
    expect(found.backups.map(({ openableBy }) => openableBy)).toEqual([['id-a'], []]);
    expect(codes(found)).toEqual(['no-opener', 'few-hosts']);
  });

  it('warns of key files, of hardware that was not proved, and of proofs that are missing or old', () => {
    const old = new Date(now.getTime() - staleProofMs - 1).toISOString();
    const nodes = [
      node('file', { sealingProvider: 'software', grade: 'unattested' }),
      node('west', { site: 'west', grade: 'unattested' }),
      node('old', { lastProof: { at: old, epochs: [1] } }),
      node('never', { lastProof: null }),
    ];
    const found = judge(nodes, []);
    expect(codes(found)).toEqual(['software-sealing', 'unattested', 'stale-proof']);
    const [software, unattested, stale] = found.warnings.map(({ message }) => message);
    expect(software).toContain('of file:');
    expect(unattested).toContain('of west was');
    expect(stale).toContain('of old, never opens');
  });

  it('loses no backup by leaving out a host that does not open it, and never more than those it opens', () => {
    const names = ['a', 'b', 'c'];
    const openers = fc.subarray(names);
    fc.assert(
      fc.property(fc.array(openers, { maxLength: 8 }), fc.constantFrom(...names), (lists, gone) => {
        const nodes = names.map((name) => node(name));
        const backups = lists.map((list, index) => backup(`b${index}`, ...list));
        const before = judge(nodes, backups);
        const after = judge(nodes, backups, gone);
        const expected = backups.filter(({ openableBy }) => openableBy.every((id) => id === `id-${gone}`));
        expect(after.lost).toEqual(expected.map(({ id }) => id));
        expect(after.lost).toEqual(expect.arrayContaining([...before.lost]));
      }),
    );
  });
});
