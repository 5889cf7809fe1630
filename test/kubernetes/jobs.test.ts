import { expect, it } from 'vitest';
import { answerIn } from './jobs.ts';

it('the one document is found among what else a pod printed', () => {
  const document = '{\n  "rows": [\n    1\n  ],\n  "text": "a {b}"\n}';
  expect(answerIn(`a note on the way\n${document}\nand another\n`)).toEqual({ rows: [1], text: 'a {b}' });
  expect(answerIn('[]\n')).toEqual([]);
  expect(() => answerIn('sh: enclave-manager: not found')).toThrow('no JSON in what the job printed: sh:');
});
