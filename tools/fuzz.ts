import { spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';

/**
 * `npm run fuzz -- [--runs 20000] [--seed 1] [--target manifest-signed]`: the parsers of everything foreign under many more
 * mutations than `npm test` has time for. New ways of refusing, and crashes, are kept in `test/corpora`.
 */
const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '20000' },
    seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
    target: { type: 'string' },
  },
});
process.stdout.write(`fuzzing with --runs ${values.runs} --seed ${values.seed}\n`);
const only = values.target === undefined ? [] : ['-t', `^${values.target} `];
const env = { ...process.env, FUZZ_RUNS: values.runs, FUZZ_SEED: values.seed, FUZZ_COLLECT: '1' };
const { status } = spawnSync('node_modules/.bin/vitest', ['run', 'test/fuzz', ...only], { stdio: 'inherit', env });
process.exitCode = status ?? 1;
